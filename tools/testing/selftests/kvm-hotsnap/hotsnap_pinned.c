// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages that a device may write, behind the back of all page tables: a freeze has to see them.
 *
 *	hotsnap_pinned [<a block device whose reads take a while>]
 *
 * How a kernel gets hold of pages for I/O differs from one to the next, and so does what it
 * allows for files like these.  Either it does not get hold of them, or no freeze succeeds
 * while it has them.
 */
#define _GNU_SOURCE
#include "hotsnap_test.h"

#include <fcntl.h>
#include <linux/if_xdp.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

#ifndef AF_XDP
#define AF_XDP	44
#endif
#ifndef SOL_XDP
#define SOL_XDP	283
#endif

enum {
	PAGES	= 64,
};

static const char *slow_device;

/* The freeze is refused, for so many pages that are pinned. */
static void expect_pinned(const struct memory *m, u64 pages)
{
	struct hotsnap_freeze freeze = { 0 };

	REFUSED(EBUSY, __hs_freeze(m->fd, &freeze));
	TEST_ASSERT(freeze.pinned == pages, "%llu pages are pinned", freeze.pinned);
	TEST_ASSERT(hs_status(m->fd).state != HOTSNAP_STATE_FROZEN, "frozen nevertheless");
}

static void expect_free(const struct memory *m)
{
	int snapshot = hs_freeze(m->fd);

	memory_fill(m, 1001, PAGES);
	expect_pages(snapshot, 1, PAGES);
	hs_commit(snapshot);
}

static void io_uring_buffers(void)
{
	struct io_uring_params params = { 0 };
	struct memory m;
	struct iovec iov;
	int ring;
	long r;

	memory_new(&m, "file", PAGES);
	memory_fill(&m, 1, PAGES);
	ring = syscall(SYS_io_uring_setup, 4, &params);
	if (ring < 0)
		tap_skip("no io_uring here");
	iov = (struct iovec){ m.map + 8 * PAGE, 4 * PAGE };
	r = sys(syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &iov, 1));
	if (r) {
		TEST_ASSERT(r == -EOPNOTSUPP || r == -EFAULT || r == -EINVAL, "%s", strerror(-r));
		tap_note("this kernel refuses to register such buffers: %s", strerror(-r));
	} else {
		expect_pinned(&m, 4);
		TEST_ASSERT(!syscall(SYS_io_uring_register, ring, IORING_UNREGISTER_BUFFERS,
				     NULL, 0), "unregister");
	}
	expect_free(&m);
}

static void xdp_memory(void)
{
	struct xdp_umem_reg umem = { .len = 16 * PAGE, .chunk_size = PAGE };
	int socket_fd = socket(AF_XDP, SOCK_RAW, 0);
	struct hotsnap_freeze freeze = { 0 };
	struct memory m;
	long r;

	if (socket_fd < 0)
		tap_skip("no AF_XDP here");
	memory_new(&m, "file", PAGES);
	memory_fill(&m, 1, PAGES);
	umem.addr = (unsigned long)(m.map + 8 * PAGE);
	r = sys(setsockopt(socket_fd, SOL_XDP, XDP_UMEM_REG, &umem, sizeof(umem)));
	if (r) {
		TEST_ASSERT(r == -EOPNOTSUPP || r == -EFAULT || r == -EINVAL, "%s", strerror(-r));
		tap_note("this kernel refuses to pin such memory: %s", strerror(-r));
	} else {
		expect_pinned(&m, 16);
	}
	close(socket_fd);
	/* The pages are given back a moment after the socket. */
	WAIT_UNTIL(!__hs_freeze(m.fd, &freeze));
	hs_cancel(m.fd);
	expect_free(&m);
}

struct transfer {
	u8 *to;
	atomic_bool done;
	ssize_t result;
};

static void *read_direct(void *arg)
{
	struct transfer *t = arg;
	int fd = open(slow_device, O_RDONLY | O_DIRECT);

	t->result = sys(pread(fd, t->to, PAGE, 0));
	t->done = true;
	close(fd);
	return NULL;
}

/* Before 6.3 it took references, which cannot be told from any others. */
static void need_direct_io_that_pins(void)
{
	struct utsname name;
	int major, minor;

	if (!slow_device)
		tap_skip("no slow device");
	TEST_ASSERT(!uname(&name) && sscanf(name.release, "%d.%d", &major, &minor) == 2, "uname");
	if (major < 6 || (major == 6 && minor < 3))
		tap_skip("direct I/O of this kernel does not pin pages");
}

static void direct_io(void)
{
	struct memory m;
	struct transfer t = { 0 };
	pthread_t thread;

	need_direct_io_that_pins();
	memory_new(&m, "file", PAGES);
	memory_fill(&m, 1, PAGES);
	t.to = m.map + 8 * PAGE;
	pthread_create(&thread, NULL, read_direct, &t);
	sleep_ms(200);
	TEST_ASSERT(!t.done, "the device is not slow");
	expect_pinned(&m, 1);
	TEST_ASSERT(!t.done, "the device is not slow enough");
	WAIT_UNTIL(t.done);
	pthread_join(thread, NULL);
	TEST_ASSERT(t.result == PAGE, "read %zd", t.result);
	TEST_ASSERT(page_reads(m.fd, 8, 0), "the device's content");
	page_fill(m.map + 8 * PAGE, 9);
	expect_free(&m);
}

/* It may be refused or not, but what it returns must not change afterwards. */
static void direct_io_and_freezes(void)
{
	struct hotsnap_freeze freeze = { 0 };
	struct memory m;
	struct transfer t = { 0 };
	pthread_t thread;
	unsigned int refused = 0;
	bool before;
	long r;

	need_direct_io_that_pins();
	memory_new(&m, "file", PAGES);
	memory_fill(&m, 1, PAGES);
	t.to = m.map + 8 * PAGE;
	pthread_create(&thread, NULL, read_direct, &t);
	for (r = -EBUSY; r == -EBUSY; refused++) {
		r = __hs_freeze(m.fd, &freeze);
		TEST_ASSERT(!r || (r == -EBUSY && freeze.pinned), "freeze: %s", strerror(-r));
	}
	before = page_reads(freeze.fd, 8, 9);
	TEST_ASSERT(before || page_reads(freeze.fd, 8, 0), "half of the transfer");
	WAIT_UNTIL(t.done);
	pthread_join(thread, NULL);
	TEST_ASSERT(page_reads(freeze.fd, 8, before ? 9 : 0), "the snapshot changed");
	TEST_ASSERT(page_reads(m.fd, 8, 0), "the transfer is lost");
	hs_commit(freeze.fd);
	tap_note("%u freezes were refused", refused - 1);
}

/*
 * process_vm_writev() pins the pages, and then writes to them through another mapping: a
 * moment in which a freeze must not be.  Each of its writes is one page, by name; a snapshot
 * that has part of one, or that changes, was taken in that moment.
 */
struct remote {
	struct memory *m;
	atomic_bool stop;
	u64 writes;
};

static void *write_remotely(void *arg)
{
	struct remote *w = arg;
	u8 buffer[PAGE];
	struct iovec from = { buffer, PAGE }, to = { .iov_len = PAGE };
	u64 page;

	while (!w->stop) {
		page = w->writes++ % PAGES;
		page_fill(buffer, 5000 + w->writes);
		to.iov_base = w->m->map + page * PAGE;
		TEST_ASSERT(process_vm_writev(getpid(), &from, 1, &to, 1, 0) == PAGE, "lost");
	}
	return NULL;
}

static bool same_twice(int snapshot)
{
	static u8 first[PAGES * PAGE], second[PAGES * PAGE];

	TEST_ASSERT(pread(snapshot, first, sizeof(first), 0) == sizeof(first), "first");
	sleep_ms(2);
	TEST_ASSERT(pread(snapshot, second, sizeof(second), 0) == sizeof(second), "second");
	return !memcmp(first, second, sizeof(first));
}

static void remote_writes(void)
{
	struct hotsnap_freeze freeze;
	struct memory m;
	struct remote w = { .m = &m };
	unsigned int round, refused = 0;
	pthread_t thread;
	long r;

	memory_new(&m, "file", PAGES);
	memory_fill(&m, 1, PAGES);
	pthread_create(&thread, NULL, write_remotely, &w);
	for (round = 0; round < 300; round++) {
		memset(&freeze, 0, sizeof(freeze));
		r = __hs_freeze(m.fd, &freeze);
		if (r == -EBUSY && freeze.pinned) {
			refused++;
			continue;
		}
		TEST_ASSERT(!r, "freeze: %s", strerror(-r));
		TEST_ASSERT(same_twice(freeze.fd), "round %u: the snapshot changed", round);
		close(freeze.fd);
	}
	w.stop = true;
	pthread_join(thread, NULL);
	tap_note("%llu writes, %u of %u freezes refused", (unsigned long long)w.writes, refused,
		 round);
	TEST_ASSERT(refused < round, "never frozen");
}

static const struct tap_case cases[] = {
	{ "buffers of io_uring are refused, or hold up a freeze", io_uring_buffers },
	{ "memory of AF_XDP is refused, or holds up a freeze", xdp_memory },
	{ "direct I/O into memory holds up a freeze", direct_io },
	{ "direct I/O never changes a snapshot", direct_io_and_freezes },
	{ "what another process writes never changes a snapshot", remote_writes },
};

int main(int argc, char **argv)
{
	slow_device = argc > 1 ? argv[1] : NULL;
	return tap_cases(cases, ARRAY_SIZE(cases));
}
