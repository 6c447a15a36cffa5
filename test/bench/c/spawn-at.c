/* The machine's limit for single starts. `spawn-at tick N PROGRAM ARGS…`: starts the program at each of the next N whole seconds. `spawn-at order
   PROGRAM ARGS…`: at each byte of standard input, the time of reading which it prints. Output of the program goes to /dev/null. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static void start(char **argv, posix_spawn_file_actions_t *files) {
  pid_t pid;
  if (posix_spawn(&pid, argv[0], files, NULL, argv, environ) != 0) exit(1);
  waitpid(pid, NULL, 0);
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
  struct timespec at;
  if (strcmp(argv[1], "order") == 0) {
    for (char byte; read(0, &byte, 1) == 1;) {
      clock_gettime(CLOCK_REALTIME, &at);
      start(argv + 2, &files);
      printf("%ld.%06ld\n", (long)at.tv_sec, at.tv_nsec / 1000);
      fflush(stdout);
    }
    return 0;
  }
  clock_gettime(CLOCK_REALTIME, &at);
  at.tv_nsec = 0;
  for (int i = 0; i < atoi(argv[2]); i++) {
    at.tv_sec++;
    clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &at, NULL);
    start(argv + 3, &files);
  }
  return 0;
}
