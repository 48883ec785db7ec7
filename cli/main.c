/* main.c: chooses the command. What a command does is in cmd_<name>.c; the tables are commands.def and options.def. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "near.h"
#include "options.h"

static int no_command(const char *name) {
  const char *names[64];
  size_t count = 0;
  for (const Command *c = commands; c->name; c++) names[count++] = c->name;
  const char *near = near_find(name, names, count);
  fprintf(stderr, "gradc: there is no command `%s`\n", name);
  if (near)
    fprintf(stderr, "hint: did you mean `gradc %s`?\n", near);
  else if (strlen(name) > 3 && !strcmp(name + strlen(name) - 3, ".nn"))
    fprintf(stderr, "hint: the command comes first: `gradc train %s`\n", name);
  else
    fprintf(stderr, "hint: `gradc --help` lists the commands\n");
  return EXIT_USAGE;
}

/* What was printed must have arrived: a full disk or a closed pipe is a failure of the command. */
static int flushed(int status) {
  errno = 0;
  if (!fflush(stdout) && !ferror(stdout)) return status;
  if (errno != EPIPE) fprintf(stderr, "gradc: cannot write the output: %s\n", errno ? strerror(errno) : "an earlier write failed");
  return status ? status : EXIT_INPUT;
}

/* A channel that the caller closed must not become the next file that is opened: it is taken, and every use of it fails. */
static void take_closed_channels(void) {
  for (int fd = 0; fd < 3; fd++) {
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd ? O_RDONLY : O_WRONLY) < 0) _exit(EXIT_INPUT);
  }
}

int main(int count, char **words) {
  take_closed_channels();
  signal(SIGPIPE, SIG_IGN);
  if (count < 2) {
    options_help(NULL);
    return EXIT_USAGE;
  }
  const char *name = words[1];
  if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
    const Command *about = count > 2 ? command_find(words[2]) : NULL;
    options_help(about);
    return flushed(EXIT_DONE);
  }
  if (!strcmp(name, "--version")) {
    printf("gradc %s\n", GRADC_VERSION);
    return flushed(EXIT_DONE);
  }
  const Command *command = command_find(name);
  if (!command) return no_command(name);
  Options options;
  int status = EXIT_USAGE;
  if (options_parse(command, count - 2, words + 2, &options)) status = command->run(&options);
  options_free(&options);
  return flushed(status);
}
