// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "hotsnap_test.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Whose namespace has the file system: children have their parent's. */
static bool mounted;

void sleep_ms(unsigned int ms)
{
	struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	nanosleep(&time, NULL);
}

void hs_refused(int want, long r, const char *file, int line, const char *call)
{
	if (r != -want)
		tap_fail(file, line, call, "%s and not %s", r < 0 ? strerror(-r) : "no error",
			 strerror(want));
}

int __hotsnap_mount(const char *options)
{
	if (!mounted) {
		TEST_ASSERT(!unshare(CLONE_NEWNS), "no namespace");
		TEST_ASSERT(!mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), "not private");
		TEST_ASSERT(!mkdir(HOTSNAP_DIR, 0755) || errno == EEXIST, "no folder");
		mounted = true;
	}
	return sys(mount("none", HOTSNAP_DIR, "hotsnap", 0, options));
}

void hotsnap_mount(const char *options)
{
	int r = __hotsnap_mount(options);

	TEST_ASSERT(!r, "cannot mount with '%s': %s", options, strerror(-r));
}

void become_user(uid_t uid)
{
	TEST_ASSERT(!chmod(".", 0755), "the working directory is closed");
	TEST_ASSERT(!setresgid(uid, uid, uid) && !setresuid(uid, uid, uid), "still root");
}

u8 *memory_map(const struct memory *m)
{
	u8 *map = mmap(NULL, m->pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, 0);

	TEST_ASSERT(map != MAP_FAILED, "cannot map %s", m->path);
	return map;
}

void memory_new(struct memory *m, const char *name, u64 pages)
{
	if (!mounted)
		hotsnap_mount("");
	snprintf(m->path, sizeof(m->path), HOTSNAP_DIR "/%s", name);
	unlink(m->path);
	m->fd = open(m->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	TEST_ASSERT(m->fd >= 0, "cannot create %s", m->path);
	m->pages = pages;
	resize(m->fd, pages * PAGE);
	m->map = memory_map(m);
	hs_buffer(m->fd, pages * PAGE, HOTSNAP_POLICY_ABORT, 0);
}

static u64 page_word(u64 name, unsigned int i)
{
	return name ? name * 0x9e3779b97f4a7c15ULL + i : 0;
}

void page_fill(void *page, u64 name)
{
	u64 *word = page;
	unsigned int i;

	for (i = 0; i < PAGE / sizeof(*word); i++)
		word[i] = page_word(name, i);
}

bool page_holds(const void *page, u64 name)
{
	const u64 *word = page;
	unsigned int i;

	for (i = 0; i < PAGE / sizeof(*word); i++)
		if (word[i] != page_word(name, i))
			return false;
	return true;
}

void memory_fill(const struct memory *m, u64 first, u64 nr)
{
	u64 i;

	for (i = 0; i < nr; i++)
		page_fill(m->map + i * PAGE, first + i);
}

/*
 * The ioctls.
 */
int __hs_arm(int fd, u64 start, u64 len, u64 *armed)
{
	struct hotsnap_arm arm = { .start = start, .len = len };
	int r = sys(ioctl(fd, HOTSNAP_IOC_ARM, &arm));

	*armed = arm.armed;
	return r;
}

u64 hs_arm(int fd, u64 start, u64 len)
{
	u64 armed;
	int r = __hs_arm(fd, start, len, &armed);

	TEST_ASSERT(!r, "arm: %s", strerror(-r));
	return armed;
}

int __hs_buffer(int fd, u64 limit, u32 policy, u32 wait_ms)
{
	struct hotsnap_buffer buffer = { .limit = limit, .policy = policy, .wait_ms = wait_ms };

	return sys(ioctl(fd, HOTSNAP_IOC_BUFFER, &buffer));
}

void hs_buffer(int fd, u64 limit, u32 policy, u32 wait_ms)
{
	int r = __hs_buffer(fd, limit, policy, wait_ms);

	TEST_ASSERT(!r, "buffer: %s", strerror(-r));
}

int __hs_freeze(int fd, struct hotsnap_freeze *freeze)
{
	freeze->size = sizeof(*freeze);
	return sys(ioctl(fd, HOTSNAP_IOC_FREEZE, freeze));
}

static int freeze_flags(int fd, u32 flags, u64 base)
{
	struct hotsnap_freeze freeze = { .flags = flags, .base = base };
	int r = __hs_freeze(fd, &freeze);

	TEST_ASSERT(!r, "freeze: %s, %llu pages pinned", strerror(-r), freeze.pinned);
	TEST_ASSERT(freeze.fd >= 0, "no snapshot");
	return freeze.fd;
}

int hs_freeze(int fd)
{
	return freeze_flags(fd, 0, 0);
}

int hs_freeze_since(int fd, u64 base)
{
	return freeze_flags(fd, HOTSNAP_FREEZE_INCREMENTAL, base);
}

int __hs_status(int fd, struct hotsnap_status *status)
{
	memset(status, 0, sizeof(*status));
	status->size = sizeof(*status);
	return sys(ioctl(fd, HOTSNAP_IOC_STATUS, status));
}

struct hotsnap_status hs_status(int fd)
{
	struct hotsnap_status status;
	int r = __hs_status(fd, &status);

	TEST_ASSERT(!r, "status: %s", strerror(-r));
	return status;
}

u64 hs_id(int fd)
{
	return hs_status(fd).id;
}

int __hs_source(int fd, int source)
{
	struct hotsnap_source s = { .fd = source };

	return sys(ioctl(fd, HOTSNAP_IOC_SOURCE, &s));
}

void hs_source(int fd, int source)
{
	int r = __hs_source(fd, source);

	TEST_ASSERT(!r, "source: %s", strerror(-r));
}

int __hs_cancel(int fd)
{
	return sys(ioctl(fd, HOTSNAP_IOC_CANCEL));
}

void hs_cancel(int fd)
{
	int r = __hs_cancel(fd);

	TEST_ASSERT(!r, "cancel: %s", strerror(-r));
}

int __hs_done(int snapshot, u64 start, u64 len)
{
	struct hotsnap_range range = { .start = start, .len = len };

	return sys(ioctl(snapshot, HOTSNAP_IOC_DONE, &range));
}

void hs_done(int snapshot, u64 start, u64 len)
{
	int r = __hs_done(snapshot, start, len);

	TEST_ASSERT(!r, "done %llu+%llu: %s", (unsigned long long)start,
		    (unsigned long long)len, strerror(-r));
}

int __hs_commit(int snapshot)
{
	return sys(ioctl(snapshot, HOTSNAP_IOC_COMMIT));
}

void hs_commit(int snapshot)
{
	int r = __hs_commit(snapshot);

	TEST_ASSERT(!r, "commit: %s", strerror(-r));
}

/*
 * Content.
 */
ssize_t __page_read(int fd, u64 page, void *buffer)
{
	return sys(pread(fd, buffer, PAGE, page * PAGE));
}

bool page_reads(int fd, u64 page, u64 name)
{
	u8 buffer[PAGE];
	ssize_t r = __page_read(fd, page, buffer);

	TEST_ASSERT(r == PAGE, "page %llu: %s", (unsigned long long)page,
		    r < 0 ? strerror(-r) : "short");
	return page_holds(buffer, name);
}

void page_write(int fd, u64 page, u64 name)
{
	u8 buffer[PAGE];

	page_fill(buffer, name);
	TEST_ASSERT(pwrite(fd, buffer, PAGE, page * PAGE) == PAGE, "page %llu not written",
		    (unsigned long long)page);
}

void expect_pages(int fd, u64 first, u64 nr)
{
	u64 i;

	for (i = 0; i < nr; i++)
		TEST_ASSERT(page_reads(fd, i, first + i), "page %llu is wrong",
			    (unsigned long long)i);
}

u8 *snapshot_map(int snapshot, u64 pages, int flags)
{
	u8 *map = mmap(NULL, pages * PAGE, PROT_READ, flags, snapshot, 0);

	TEST_ASSERT(map != MAP_FAILED, "cannot map the snapshot");
	return map;
}

void snapshot_data(int snapshot, bool *data, u64 pages)
{
	off_t start = 0, end = 0;

	memset(data, 0, pages * sizeof(*data));
	for (;;) {
		start = lseek(snapshot, end, SEEK_DATA);
		if (start < 0)
			break;
		TEST_ASSERT(start >= end && start % PAGE == 0, "data at %lld", (long long)start);
		end = lseek(snapshot, start, SEEK_HOLE);
		TEST_ASSERT(end > start && end <= pages * PAGE, "a hole at %lld", (long long)end);
		memset(data + start / PAGE, true, (end + PAGE - 1) / PAGE - start / PAGE);
	}
	TEST_ASSERT(errno == ENXIO, "SEEK_DATA from %lld", (long long)end);
}

void punch(int fd, u64 page, u64 nr)
{
	TEST_ASSERT(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, page * PAGE,
			       nr * PAGE), "no hole punched");
}

void resize(int fd, u64 bytes)
{
	TEST_ASSERT(!ftruncate(fd, bytes), "not resized to %llu", (unsigned long long)bytes);
}

/*
 * Accesses that may fail.
 */
static __thread sigjmp_buf access_failed;

static void access_signal(int signal)
{
	siglongjmp(access_failed, signal);
}

static int access_byte(u8 *p, bool write)
{
	struct sigaction action = { .sa_handler = access_signal }, bus, segv;
	int raised;

	sigaction(SIGBUS, &action, &bus);
	sigaction(SIGSEGV, &action, &segv);
	raised = sigsetjmp(access_failed, 1);
	if (!raised) {
		if (write)
			__atomic_store_n(p, 1, __ATOMIC_SEQ_CST);
		else
			__atomic_load_n(p, __ATOMIC_SEQ_CST);
	}
	sigaction(SIGBUS, &bus, NULL);
	sigaction(SIGSEGV, &segv, NULL);
	return raised;
}

int read_signal(const u8 *p)
{
	return access_byte((u8 *)p, false);
}

int write_signal(u8 *p)
{
	return access_byte(p, true);
}

/*
 * Processes.
 */
pid_t process_start(int (*run)(void *arg), void *arg)
{
	pid_t pid = fork();

	TEST_ASSERT(pid >= 0, "no process");
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	_exit(run(arg));
}

int process_end(pid_t pid)
{
	int status;

	TEST_ASSERT(waitpid(pid, &status, 0) == pid, "no such child");
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}
