/* json.c: the strict JSON reader. */
#include "json.h"
#include <string.h>

GradcJson gradc_json(char *text, size_t size) { return (GradcJson){text, text, text + size, NULL}; }

static bool problem(GradcJson *json, const char *what) {
  if (!json->problem) json->problem = what;
  return false;
}

static void skip_space(GradcJson *json) {
  while (json->at < json->end && (*json->at == ' ' || *json->at == '\t' || *json->at == '\n' || *json->at == '\r'))
    json->at++;
}

bool gradc_json_take(GradcJson *json, char c) {
  if (json->problem) return false;
  skip_space(json);
  if (json->at == json->end || *json->at != c) return false;
  json->at++;
  return true;
}

bool gradc_json_expect(GradcJson *json, char c) {
  if (gradc_json_take(json, c)) return true;
  switch (c) {
  case '{': return problem(json, "an object should begin");
  case '[': return problem(json, "an array should begin");
  case '}': return problem(json, "an object should end or go on with a comma");
  case ']': return problem(json, "an array should end or go on with a comma");
  case ':': return problem(json, "a colon should follow the key");
  default: return problem(json, "a comma is missing");
  }
}

bool gradc_json_next(GradcJson *json, char close, bool *first) {
  if (json->problem) return false;
  bool was_first = *first;
  *first = false;
  if (was_first) return !gradc_json_take(json, close);
  if (gradc_json_take(json, ',')) return true;
  gradc_json_expect(json, close);
  return false;
}

/* Four hexadecimal digits; -1 if they are not there. */
static int32_t hex4(const char *at, const char *end) {
  int32_t value = 0;
  if (end - at < 4) return -1;
  for (int i = 0; i < 4; i++) {
    char c = at[i];
    int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

static char *put_utf8(char *to, int32_t code) {
  if (code < 0x80) {
    *to++ = (char)code;
  } else if (code < 0x800) {
    *to++ = (char)(0xc0 | code >> 6), *to++ = (char)(0x80 | (code & 63));
  } else if (code < 0x10000) {
    *to++ = (char)(0xe0 | code >> 12), *to++ = (char)(0x80 | (code >> 6 & 63)), *to++ = (char)(0x80 | (code & 63));
  } else {
    *to++ = (char)(0xf0 | code >> 18), *to++ = (char)(0x80 | (code >> 12 & 63));
    *to++ = (char)(0x80 | (code >> 6 & 63)), *to++ = (char)(0x80 | (code & 63));
  }
  return to;
}

/* \uXXXX, or two of them for what lies above U+FFFF; json->at is behind the u. */
static bool unicode_escape(GradcJson *json, char **to) {
  int32_t code = hex4(json->at, json->end);
  if (code < 0) return problem(json, "\\u needs four hexadecimal digits");
  if (code == 0) return problem(json, "a string may not hold the character 0");
  if (code >= 0xdc00 && code <= 0xdfff) return problem(json, "a second half of a surrogate pair stands alone");
  char *next = json->at + 4;
  if (code >= 0xd800 && code <= 0xdbff) {
    int32_t low = json->end - next >= 6 && next[0] == '\\' && next[1] == 'u' ? hex4(next + 2, json->end) : -1;
    if (low < 0xdc00 || low > 0xdfff) return problem(json, "a first half of a surrogate pair stands alone");
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    next += 6;
  }
  *to = put_utf8(*to, code);
  json->at = next;
  return true;
}

static bool escape(GradcJson *json, char **to) {
  static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
  if (json->at == json->end) return problem(json, "a string is not closed");
  char c = *json->at;
  if (c == 'u') {
    json->at++;
    return unicode_escape(json, to);
  }
  const char *found = c ? strchr(from, c) : NULL;
  if (!found) return problem(json, "an unknown escape in a string");
  json->at++;
  *(*to)++ = into[found - from];
  return true;
}

const char *gradc_json_string(GradcJson *json) {
  if (!gradc_json_take(json, '"')) {
    problem(json, "a string should begin");
    return NULL;
  }
  char *text = json->at, *to = text;
  while (json->at < json->end && *json->at != '"') {
    unsigned char c = (unsigned char)*json->at;
    if (c < 0x20) {
      problem(json, "a control character in a string");
      return NULL;
    }
    json->at++;
    if (c != '\\') *to++ = (char)c;
    else if (!escape(json, &to)) return NULL;
  }
  if (json->at == json->end) {
    problem(json, "a string is not closed");
    return NULL;
  }
  json->at++;
  *to = 0;
  return text;
}

bool gradc_json_natural(GradcJson *json, int64_t *number) {
  if (json->problem) return false;
  skip_space(json);
  char *begin = json->at;
  int64_t value = 0;
  while (json->at < json->end && *json->at >= '0' && *json->at <= '9') {
    if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *json->at - '0', &value))
      return problem(json, "a number is over 2^63 - 1");
    json->at++;
  }
  if (json->at == begin) return problem(json, "a whole number should stand here");
  if (*begin == '0' && json->at - begin > 1) return problem(json, "a number may not begin with 0");
  if (json->at < json->end && (*json->at == '.' || *json->at == 'e' || *json->at == 'E'))
    return problem(json, "a whole number should stand here");
  *number = value;
  return true;
}

bool gradc_json_end(GradcJson *json) {
  if (json->problem) return false;
  skip_space(json);
  return json->at == json->end || problem(json, "something follows the end");
}

bool gradc_utf8_valid(const void *text, size_t size) {
  const unsigned char *at = text, *end = at + size;
  while (at < end) {
    unsigned char c = *at++;
    if (c < 0x80) continue;
    int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
    if (c < 0xc2 || c > 0xf4 || end - at < more) return false;
    /* The second byte's range excludes overlong forms, surrogates and what is above U+10FFFF. */
    unsigned char low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80, high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    if (at[0] < low || at[0] > high) return false;
    for (int i = 1; i < more; i++)
      if (at[i] < 0x80 || at[i] > 0xbf) return false;
    at += more;
  }
  return true;
}
