/* Makes a server forgetful: fsync of some files does nothing and says that all is well. FSYNC_SKIPS names what is skipped:
 * "folders", or "content" for folders and all files below a folder named hosted or uploads. Each skip adds a byte to
 * FSYNC_SKIPPED, so that nobody takes a server for forgetful that is not. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int skips(int fd)
{
    const char *what = getenv("FSYNC_SKIPS");
    struct stat about;
    if (what == NULL || fstat(fd, &about) != 0)
        return 0;
    if (S_ISDIR(about.st_mode))
        return 1;
    if (strcmp(what, "content") != 0)
        return 0;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return strstr(path, "/hosted/") != NULL || strstr(path, "/uploads/") != NULL;
}

static void count(void)
{
    const char *file = getenv("FSYNC_SKIPPED");
    int fd = file ? open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd < 0)
        return;
    if (write(fd, ".", 1) != 1)
        abort();
    close(fd);
}

static int sync_unless_skipped(int fd, const char *name)
{
    if (skips(fd)) {
        count();
        return 0;
    }
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    return real(fd);
}

int fsync(int fd)
{
    return sync_unless_skipped(fd, "fsync");
}

int fdatasync(int fd)
{
    return sync_unless_skipped(fd, "fdatasync");
}
