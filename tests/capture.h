/* Catches what a piece of code prints. Include after tests/temporary.h. */
#ifndef BL_TESTS_CAPTURE_H
#define BL_TESTS_CAPTURE_H

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

typedef struct capture {
    int  fd, saved;
    char text[8192];
} capture;

/* fd: STDOUT_FILENO or STDERR_FILENO. */
static inline void capture_begin(capture *c, int fd)
{
    fflush(NULL);
    c->fd = fd;
    c->saved = dup(fd);
    const int file = open(temporary_path("captured"), O_RDWR | O_CREAT | O_TRUNC, 0600);
    unlink(temporary_path("captured"));
    dup2(file, fd);
    close(file);
}

static inline const char *capture_end(capture *c)
{
    fflush(NULL);
    lseek(c->fd, 0, SEEK_SET);
    const ssize_t n = read(c->fd, c->text, sizeof c->text - 1);
    c->text[n > 0 ? n : 0] = '\0';
    dup2(c->saved, c->fd);
    close(c->saved);
    return c->text;
}

#endif
