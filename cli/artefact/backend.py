# What pip calls to make a wheel of this folder: the files as they are, so that nothing need be downloaded or built.
import base64
import hashlib
import os
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
TAG = f"py3-none-{PLATFORM}"
INFO = f"{NAME}-{VERSION}.dist-info"
METADATA = f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {VERSION}\nSummary: {SUMMARY}\nRequires-Python: >=3.8\nRequires-Dist: numpy\n"
WHEEL = f"Wheel-Version: 1.0\nGenerator: gradc\nRoot-Is-Purelib: false\nTag: {TAG}\n"


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    files = {}
    for name in sorted(os.listdir(os.path.join(HERE, NAME))):
        path = os.path.join(HERE, NAME, name)
        if os.path.isfile(path):
            with open(path, "rb") as f:
                files[f"{NAME}/{name}"] = f.read()
    files[f"{INFO}/METADATA"], files[f"{INFO}/WHEEL"] = METADATA.encode(), WHEEL.encode()
    record = ""
    for name, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += f"{name},sha256={digest},{len(data)}\n"
    files[f"{INFO}/RECORD"] = f"{record}{INFO}/RECORD,,\n".encode()
    wheel = f"{NAME}-{VERSION}-{TAG}.whl"
    with zipfile.ZipFile(os.path.join(wheel_directory, wheel), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.external_attr, info.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return wheel


def build_sdist(sdist_directory, config_settings=None):
    raise RuntimeError("this folder has a compiled model: gradc build --emit python makes it")
