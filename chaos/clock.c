/* The wall clock of a process, apart from the machine's by the nanoseconds in the file that MDP_CLOCK_FILE names.
 *
 * Loaded with LD_PRELOAD. Other clocks stay as they are. What is waited for until a time of day is waited for by this
 * clock, and so takes longer when it is set back meanwhile, as it does with the kernel's.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL

static const int64_t SLICE = SECOND / 20; /* of a wait: a step takes effect within this time */
static const time_t DAYS_OF_UPTIME = 10000 * 86400; /* a smaller deadline counts from boot */

typedef int Clock(clockid_t, struct timespec *);
typedef int Wait(pthread_cond_t *restrict, pthread_mutex_t *restrict, const struct timespec *restrict);

static Clock *machine_clock;
static Wait *machine_wait;
static const volatile int64_t *apart;

__attribute__((constructor)) static void begin(void) {
    machine_clock = (Clock *)dlsym(RTLD_NEXT, "clock_gettime");
    machine_wait = (Wait *)dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2"); /* x86-64 has an older one too */
    if (!machine_wait)
        machine_wait = (Wait *)dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    const char *name = getenv("MDP_CLOCK_FILE");
    int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    if (file >= 0) {
        void *mapped = mmap(NULL, sizeof(*apart), PROT_READ, MAP_SHARED, file, 0);
        apart = mapped == MAP_FAILED ? NULL : mapped;
        close(file);
    }
}

static int64_t nanoseconds(const struct timespec *time) { return time->tv_sec * SECOND + time->tv_nsec; }

static struct timespec timespec_of(int64_t nanoseconds) {
    return (struct timespec){.tv_sec = nanoseconds / SECOND, .tv_nsec = nanoseconds % SECOND};
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (!machine_clock)
        begin();
    int result = machine_clock(clock, now);
    if (result == 0 && clock == CLOCK_REALTIME && apart)
        *now = timespec_of(nanoseconds(now) + *apart);
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec precise;
    int result = clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return result;
}

time_t time(time_t *now) {
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (now)
        *now = precise.tv_sec;
    return precise.tv_sec;
}

int timespec_get(struct timespec *now, int base) {
    return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, now) == 0 ? base : 0;
}

int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict deadline) {
    if (!machine_wait)
        begin();
    if (!apart || deadline->tv_sec < DAYS_OF_UPTIME)
        return machine_wait(condition, mutex, deadline);
    for (;;) {
        struct timespec now;
        machine_clock(CLOCK_REALTIME, &now);
        int64_t left = nanoseconds(deadline) - nanoseconds(&now) - *apart;
        struct timespec end = timespec_of(nanoseconds(&now) + (left < SLICE ? left : SLICE));
        int result = machine_wait(condition, mutex, &end);
        if (result != ETIMEDOUT || left <= SLICE)
            return result;
    }
}

/* glibc's are those of POSIX under another name. */
int cnd_timedwait(cnd_t *restrict condition, mtx_t *restrict mutex, const struct timespec *restrict deadline) {
    int result = pthread_cond_timedwait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex, deadline);
    return result == 0 ? thrd_success : result == ETIMEDOUT ? thrd_timedout : thrd_error;
}
