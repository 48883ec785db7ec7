/* safefile.c: write beside, fsync, rename, fsync the folder. A writer holds a lock on its temporary file, so that another
 * one can tell a file in the making from one that a killed process has left. */
#define _GNU_SOURCE
#include "safefile.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_NAMES 100 /* temporaries of one process for one file */

static bool fails(GradcSafeFile *file, const char *operation) {
  if (file->error) return true;
  if (file->watch && file->watch->before) file->error = file->watch->before(file->watch->context, operation);
  return file->error != 0;
}

static void set_error(GradcSafeFile *file, int error, const char *reason) {
  if (file->error) return;
  file->error = error;
  file->reason = reason;
}

/* The folder of the path: "a/b" -> "a", "/b" -> "/", "b" -> ".". */
static void folder_of(const char *path, char folder[GRADC_PATH_ROOM]) {
  const char *slash = strrchr(path, '/');
  snprintf(folder, GRADC_PATH_ROOM, "%.*s", slash && slash != path ? (int)(slash - path) : 1, slash ? path : ".");
}

static const char *base_of(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

/* BASE.tmp- and then only digits and '-'. */
static bool is_temporary(const char *name, const char *base) {
  size_t length = strlen(base);
  if (strncmp(name, base, length) != 0 || strncmp(name + length, ".tmp-", 5) != 0) return false;
  const char *rest = name + length + 5;
  return *rest && strspn(rest, "0123456789-") == strlen(rest);
}

static void remove_stale(const char *path) {
  char folder[GRADC_PATH_ROOM];
  folder_of(path, folder);
  DIR *entries = opendir(folder);
  if (!entries) return; /* then there is nothing that we could remove */
  for (struct dirent *entry = readdir(entries); entry; entry = readdir(entries)) {
    if (!is_temporary(entry->d_name, base_of(path))) continue;
    int fd = openat(dirfd(entries), entry->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) continue;
    if (!flock(fd, LOCK_EX | LOCK_NB)) unlinkat(dirfd(entries), entry->d_name, 0);
    close(fd);
  }
  closedir(entries);
}

/* The path that is to be replaced: the end of a symbolic link. */
static void resolve(GradcSafeFile *file, const char *path) {
  struct stat info;
  char *real = !fstatat(AT_FDCWD, path, &info, AT_SYMLINK_NOFOLLOW) && S_ISLNK(info.st_mode) ? realpath(path, NULL) : NULL;
  const char *target = real ? real : path;
  if (strlen(target) >= GRADC_PATH_ROOM - 64) set_error(file, ENAMETOOLONG, NULL);
  else memcpy(file->path, target, strlen(target) + 1);
  free(real);
}

/* What is there now; its permissions in *mode. */
static void look_at_old(GradcSafeFile *file, mode_t *mode) {
  struct stat info;
  if (!*base_of(file->path)) set_error(file, EISDIR, "it names a folder");
  if (fstatat(AT_FDCWD, file->path, &info, 0)) return;
  if (S_ISDIR(info.st_mode)) set_error(file, EISDIR, "it is a folder");
  else if (!S_ISREG(info.st_mode)) set_error(file, EINVAL, "it is not a regular file");
  else if (faccessat(AT_FDCWD, file->path, W_OK, AT_EACCESS)) set_error(file, errno, NULL);
  *mode = info.st_mode & 0777;
}

/* Makes and locks the file beside. Another process may take it for a stale one between the two: then it is made anew. */
static void make_temporary(GradcSafeFile *file) {
  for (int i = 0; i < MOST_NAMES; i++) {
    struct stat info;
    snprintf(file->temporary, GRADC_PATH_ROOM, "%.*s.tmp-%ld-%d", GRADC_PATH_ROOM - 64, file->path, (long)getpid(), i);
    int fd = openat(AT_FDCWD, file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0 && errno == EEXIST) continue;
    if (fd < 0) break;
    bool locked = !flock(fd, LOCK_EX | LOCK_NB), without = !locked && errno != EWOULDBLOCK;
    if (without || (locked && !fstat(fd, &info) && info.st_nlink)) { /* some file systems have no locks */
      file->fd = fd;
      return;
    }
    errno = EEXIST;
    close(fd);
  }
  set_error(file, errno, NULL);
}

void gradc_safefile_open(GradcSafeFile *file, const char *path, const GradcWatch *watch) {
  mode_t mode = 0;
  file->fd = -1, file->error = 0, file->reason = NULL, file->watch = watch;
  snprintf(file->path, sizeof file->path, "%s", path ? path : "");
  file->temporary[0] = 0;
  if (!path || !*path) set_error(file, ENOENT, NULL);
  if (!file->error) resolve(file, path);
  if (!file->error) look_at_old(file, &mode);
  if (fails(file, "open")) return;
  remove_stale(file->path);
  make_temporary(file);
  if (file->fd >= 0 && mode && fchmod(file->fd, mode)) set_error(file, errno, NULL);
}

void gradc_safefile_write(GradcSafeFile *file, const void *bytes, size_t size) {
  const char *at = bytes;
  while (size) {
    if (fails(file, "write")) return;
    size_t part = size < (1 << 30) ? size : 1 << 30; /* some systems refuse more at once */
    ssize_t written = write(file->fd, at, part);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      set_error(file, written ? errno : ENOSPC, NULL);
      return;
    }
    at += written;
    size -= (size_t)written;
  }
}

/* To the disk itself, not only to the drive's cache where the two differ. */
static int sync_file(int fd) {
#ifdef F_FULLFSYNC
  if (!fcntl(fd, F_FULLFSYNC)) return 0;
#endif
  return fsync(fd);
}

/* The new name is on the disk when its folder is. Some file systems cannot be asked for that. */
static int sync_folder(const char *path) {
  char folder[GRADC_PATH_ROOM];
  folder_of(path, folder);
  int fd = openat(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return 0;
  int error = fsync(fd) ? errno : 0;
  close(fd);
  return error == EINVAL || error == ENOTSUP || error == EACCES || error == EBADF ? 0 : error;
}

void gradc_safefile_abandon(GradcSafeFile *file) {
  if (file->fd < 0) return;
  unlinkat(AT_FDCWD, file->temporary, 0);
  close(file->fd);
  file->fd = -1;
}

static GradcStatus report(GradcSafeFile *file, GradcMessage *message) {
  return gradc_fail(message, GRADC_ERROR_FILE, "cannot write \"%s\": %s", file->path,
                    file->reason ? file->reason : strerror(file->error));
}

GradcStatus gradc_safefile_commit(GradcSafeFile *file, GradcMessage *message) {
  if (!fails(file, "fsync") && sync_file(file->fd)) set_error(file, errno, NULL);
  if (!fails(file, "rename") && rename(file->temporary, file->path)) set_error(file, errno, NULL);
  if (file->error) {
    gradc_safefile_abandon(file);
    return report(file, message);
  }
  close(file->fd); /* nothing can be lost any more */
  file->fd = -1;
  int error = fails(file, "fsync folder") ? file->error : sync_folder(file->path);
  if (!error) return GRADC_OK;
  return gradc_fail(message, GRADC_ERROR_FILE, "\"%s\" is written, but may not outlive a power failure: %s", file->path,
                    strerror(error));
}
