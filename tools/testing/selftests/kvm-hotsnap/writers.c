// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "writers.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

u64 world_pages(unsigned int nr_writers)
{
	return SHARED_PAGES + (u64)nr_writers * OWN_PAGES;
}

static void *map_shared(u64 size, int flags, int fd)
{
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | flags, fd, 0);

	TEST_ASSERT(map != MAP_FAILED, "no mapping");
	return map;
}

static void gate_init(struct world *w)
{
	pthread_rwlockattr_t attr;

	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&w->gate, &attr);
}

void gate_close(struct world *w)
{
	pthread_rwlock_wrlock(&w->gate);
}

void gate_open(struct world *w)
{
	pthread_rwlock_unlock(&w->gate);
}

struct world *world_new(int fd, unsigned int nr_writers, u64 seed)
{
	struct world *w = map_shared(sizeof(*w), MAP_ANONYMOUS, -1);
	unsigned int i;

	w->fd = fd;
	w->nr_writers = nr_writers;
	w->pages = world_pages(nr_writers);
	w->ticket = 1;
	resize(fd, w->pages * PAGE);
	for (i = 0; i < NR_ALIASES; i++)
		w->alias[i] = map_shared(w->pages * PAGE, 0, fd);
	for (i = 0; i < nr_writers; i++) {
		struct writer *x = &w->writer[i];

		x->world = w;
		x->nr = i;
		x->own = (w->pages - (i + 1) * OWN_PAGES) * PAGE;
		x->limit = x->own + OWN_PAGES * PAGE;
		rng_init(&x->rng, seed * MAX_WRITERS + i);
	}
	gate_init(w);
	return w;
}

struct op *writer_op(struct writer *w, u64 number)
{
	return &w->log[number % LOG_OPS];
}

static bool op_zeroes(const struct op *op)
{
	return op->kind >= OP_PUNCH;
}

const u8 *op_data(const struct writer *w, u64 number, u8 *buffer)
{
	const struct op *op = &w->log[number % LOG_OPS];
	struct rng rng;
	u32 i;

	if (op_zeroes(op))
		return memset(buffer, 0, op->len);
	rng_init(&rng, number * MAX_WRITERS + w->nr);
	for (i = 0; i < op->len; i += sizeof(rng.state)) {
		u64 word = rng_next(&rng);

		memcpy(buffer + i, &word, op->len - i < sizeof(word) ? op->len - i : sizeof(word));
	}
	return buffer;
}

/*
 * An x86 CPU's stores become visible in their order, and the kernel copies upwards: so at any
 * instant the first words or bytes are there and the others are not.  The module's own
 * operations are done by pages.
 */
u32 op_step(const struct op *op, u32 offset)
{
	u32 to_end = PAGE - (op->start + offset) % PAGE;

	switch (op->kind) {
	case OP_STORE:
		return sizeof(u64);
	case OP_READ:
	case OP_REMOTE:
		return 1;
	case OP_CUT:
	case OP_GROW:
		return op->len;
	default:
		return to_end < op->len - offset ? to_end : op->len - offset;
	}
}

/*
 * Choosing.
 */
static u64 file_end(const struct writer *w)
{
	return w->own + OWN_PAGES * PAGE;
}

static void place_in_slot(struct writer *w, struct op *op, u32 unit)
{
	u32 units = SLOT_SIZE / unit, at = rng_below(&w->rng, units);

	op->start = rng_below(&w->rng, SHARED_PAGES) * PAGE + w->nr * SLOT_SIZE + at * unit;
	op->len = (1 + rng_below(&w->rng, units - at)) * unit;
}

static void place_in_own(struct writer *w, struct op *op, u32 unit, u32 max)
{
	u32 units = (w->limit - w->own) / unit, at = rng_below(&w->rng, units);

	if (max > units - at)
		max = units - at;
	op->start = w->own + (u64)at * unit;
	op->len = (1 + rng_below(&w->rng, max)) * unit;
}

static void place(struct writer *w, struct op *op, u32 unit, u32 max)
{
	if (rng_chance(&w->rng, 50))
		place_in_slot(w, op, unit);
	else
		place_in_own(w, op, unit, max);
}

/* Cuts leave one page at least of one's own, so that there is always something to write. */
static void choose_size(struct writer *w, struct op *op)
{
	if (w->limit < file_end(w)) {
		op->kind = OP_GROW;
		op->start = w->limit;
	} else {
		op->kind = OP_CUT;
		op->start = w->own + PAGE + rng_below(&w->rng, (OWN_PAGES - 1) * PAGE);
		if (rng_chance(&w->rng, 50))
			op->start -= op->start % PAGE;
	}
	op->len = file_end(w) - op->start;
}

static void choose(struct writer *w, struct op *op)
{
	u32 dice = rng_below(&w->rng, 100);

	if (dice < 10 && !w->nr) {
		choose_size(w, op);
	} else if (dice < 60) {
		op->kind = OP_STORE;
		place(w, op, sizeof(u64), 64);
	} else if (dice < 72) {
		op->kind = OP_WRITE;
		place(w, op, 1, 3 * PAGE);
	} else if (dice < 82) {
		op->kind = OP_READ;
		place(w, op, 1, 600);
	} else if (dice < 87) {
		op->kind = OP_REMOTE;
		place(w, op, 1, 2 * PAGE);
	} else if (dice < 92) {
		op->kind = OP_PUNCH;
		place(w, op, 1, 3 * PAGE);
	} else {
		op->kind = dice < 97 ? OP_PUNCH : OP_REMOVE;
		place_in_own(w, op, PAGE, 4);
	}
}

/*
 * Doing.
 */
static void do_store(u8 *map, const struct op *op, const u8 *data)
{
	u32 i;

	for (i = 0; i < op->len; i += sizeof(u64))
		__atomic_store_n((u64 *)(map + op->start + i), *(u64 *)(data + i),
				 __ATOMIC_RELEASE);
}

static void do_read(u8 *map, const struct op *op, const u8 *data)
{
	static __thread int fd = -1;

	if (fd < 0)
		fd = memfd_create("writer", MFD_CLOEXEC);
	TEST_ASSERT(pwrite(fd, data, op->len, 0) == op->len, "memfd");
	TEST_ASSERT(pread(fd, map + op->start, op->len, 0) == op->len, "read into the mapping");
}

static void do_remote(u8 *map, const struct op *op, const u8 *data)
{
	struct iovec from = { (void *)data, op->len }, to = { map + op->start, op->len };

	TEST_ASSERT(process_vm_writev(getpid(), &from, 1, &to, 1, 0) == op->len, "remote write");
}

static void do_size(struct writer *w, const struct op *op)
{
	w->limit = op->kind == OP_CUT ? op->start : op->start + op->len;
	resize(w->world->fd, w->limit);
}

static void perform(struct writer *w, const struct op *op, const u8 *data)
{
	u8 *map = w->world->alias[rng_below(&w->rng, NR_ALIASES)];

	switch (op->kind) {
	case OP_STORE:
		do_store(map, op, data);
		break;
	case OP_READ:
		do_read(map, op, data);
		break;
	case OP_REMOTE:
		do_remote(map, op, data);
		break;
	case OP_WRITE:
		TEST_ASSERT(pwrite(w->world->fd, data, op->len, op->start) == op->len, "write");
		break;
	case OP_PUNCH:
		TEST_ASSERT(!fallocate(w->world->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				       op->start, op->len), "punch");
		break;
	case OP_REMOVE:
		TEST_ASSERT(!madvise(map + op->start, op->len, MADV_REMOVE), "madvise");
		break;
	case OP_CUT:
	case OP_GROW:
		do_size(w, op);
	}
}

void writer_step(struct writer *w)
{
	static __thread u64 buffer[MAX_OP_SIZE / sizeof(u64)];
	u64 number = w->issued + 1;
	struct op *op = writer_op(w, number);
	const u8 *data;

	choose(w, op);
	data = op_data(w, number, (u8 *)buffer);
	op->done = 0;
	op->issue = atomic_fetch_add(&w->world->ticket, 1);
	w->issued = number;
	perform(w, op, data);
	op->done = atomic_fetch_add(&w->world->ticket, 1);
	w->done = number;
}

/*
 * Full speed at first, and slowly while the judge is behind: writes have to meet the reader
 * all the time that it takes.
 */
static void pace(struct writer *w)
{
	u64 ahead = w->issued - w->judged;

	if (ahead > LOG_OPS / 2)
		sleep_ms(1);
	while (w->issued - w->judged >= LOG_OPS - 1 && !w->world->stop)
		sleep_ms(1);
}

static void *write_on(void *arg)
{
	struct writer *w = arg;

	while (!w->world->stop) {
		pace(w);
		if (w->world->gated)
			pthread_rwlock_rdlock(&w->world->gate);
		writer_step(w);
		if (w->world->gated)
			pthread_rwlock_unlock(&w->world->gate);
	}
	return NULL;
}

static void start_threads(struct world *w, unsigned int first)
{
	unsigned int i;

	for (i = first; i < w->nr_writers; i += 2)
		TEST_ASSERT(!pthread_create(&w->thread[i], NULL, write_on, &w->writer[i]),
			    "no thread");
}

static void join_threads(struct world *w, unsigned int first)
{
	unsigned int i;

	for (i = first; i < w->nr_writers; i += 2)
		pthread_join(w->thread[i], NULL);
}

static int other_process(void *arg)
{
	struct world *w = arg;

	start_threads(w, 1);
	join_threads(w, 1);
	return 0;
}

void world_start(struct world *w)
{
	w->stop = false;
	w->other = process_start(other_process, w);
	start_threads(w, 0);
}

void world_stop(struct world *w)
{
	w->stop = true;
	join_threads(w, 0);
	/* It has said why. */
	if (process_end(w->other))
		_exit(1);
}

void world_check(struct world *w)
{
	if (waitpid(w->other, NULL, WNOHANG))
		_exit(1);
}
