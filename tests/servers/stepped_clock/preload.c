// Loaded before everything else in a process, this gives it the clocks of image.c: by the library's functions, and to who looks for the
// kernel's code by itself, as the server does.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define AHEAD ((void *)0x5e0000000000)

static void *image;

static void *map_file(const char *variable, void *at, int protection, int flags) {
    const char *path = getenv(variable);
    struct stat file;
    int descriptor = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (descriptor < 0 || fstat(descriptor, &file) != 0)
        abort();
    void *mapped = mmap(at, file.st_size, protection, flags, descriptor, 0);
    close(descriptor);
    if (mapped == MAP_FAILED)
        abort();
    return mapped;
}

__attribute__((constructor)) static void prepare(void) {
    if (image)
        return;
    map_file("STEPPED_CLOCK_AHEAD", AHEAD, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE);
    image = map_file("STEPPED_CLOCK_IMAGE", NULL, PROT_READ | PROT_EXEC, MAP_PRIVATE);
}

unsigned long getauxval(unsigned long type) {
    prepare();
    if (type == AT_SYSINFO_EHDR)
        return (unsigned long)image;
    unsigned long (*others)(unsigned long) = (unsigned long (*)(unsigned long))dlsym(RTLD_NEXT, "getauxval");
    return others(type);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    if (syscall(SYS_clock_gettime, clock, time) != 0)
        return -1;
    prepare();
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
        time->tv_sec += *(volatile const long *)AHEAD;
    return 0;
}
