/* The machine's limit: starts `count` processes of argv[3..] with posix_spawn, `width` at a time, output to /dev/null; prints starts per second. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

int main(int argc, char **argv) {
  int count = atoi(argv[1]), width = atoi(argv[2]), live = 0, failed = 0;
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&files, 1, 2);
  struct timespec begin, end;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  for (int i = 0; i < count; i++) {
    pid_t pid;
    if (posix_spawn(&pid, argv[3], &files, &attributes, argv + 3, environ) != 0) failed++;
    else if (++live >= width && wait(NULL) > 0) live--;
  }
  clock_gettime(CLOCK_MONOTONIC, &end);
  while (wait(NULL) > 0) {
  }
  double seconds = (end.tv_sec - begin.tv_sec) + (end.tv_nsec - begin.tv_nsec) / 1e9;
  printf("%.0f\n", (count - failed) / seconds);
  return failed > 0;
}
