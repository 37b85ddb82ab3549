// SPDX-License-Identifier: GPL-2.0-only
/*
 * Model test: memory that is written in every way is frozen again and again, and each snapshot
 * has to be one instant of it (instant.h says what that means).
 *
 *	hotsnap_model		a file of the module
 *	hotsnap_model self	the model's own test: no module, plain shared memory
 *
 * Environment: SEED, HOTSNAP_ROUNDS (snapshots, default 60), HOTSNAP_WRITERS (4).
 * The threads' order is the scheduler's: a seed gives the same operations, not the same races.
 */
#define _GNU_SOURCE
#include "instant.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	MAX_CHUNK	= 24,	/* pages read at once */
	SMALL_ROOM	= 24,	/* pages in a buffer that will be full */
	WAIT_MS		= 60000,
};

struct model {
	struct world *world;
	struct judge judge;
	struct rng rng;
	u64 pages, size;	/* of the file; of the snapshot, in bytes */
	u32 policy;
	bool roomy;
	bool incremental;
	u64 base, id;		/* the last snapshot committed, and this one */
	int snapshot;
	u8 *base_image;		/* what it was, and what this one is */
	u8 *image;
	u8 *buffer;
	bool *data;		/* pages that are data in this one */
	bool *gone;		/* pages that are done */

	unsigned int rounds, refused, aborted, committed, increments, forks;
	u64 compared, changed, saved[HOTSNAP_NR_WRITERS], fresh[HOTSNAP_NR_WRITERS], waits;
};

static void *pages_new(u64 pages)
{
	void *buffer = calloc(pages, PAGE);

	TEST_ASSERT(buffer, "no memory");
	/* Touched here: it must not be mapped while writers wait for this thread. */
	return memset(buffer, 0, pages * PAGE);
}

static void model_init(struct model *m, int fd, u64 seed)
{
	memset(m, 0, sizeof(*m));
	rng_init(&m->rng, seed);
	m->world = world_new(fd, env_u64("HOTSNAP_WRITERS", 4), seed);
	judge_init(&m->judge, m->world);
	m->pages = m->world->pages;
	m->base_image = pages_new(m->pages);
	m->image = pages_new(m->pages);
	m->buffer = pages_new(m->pages);
	m->data = pages_new(1);
	m->gone = pages_new(1);
	TEST_ASSERT(m->pages <= PAGE, "too many pages");
}

/*
 * Freezing.
 */
static void choose_buffer(struct model *m)
{
	u32 dice = rng_below(&m->rng, 100);

	m->roomy = dice < 70;
	m->policy = dice < 85 ? HOTSNAP_POLICY_ABORT : HOTSNAP_POLICY_WAIT;
	hs_buffer(m->world->fd, (m->roomy ? m->pages : SMALL_ROOM) * PAGE, m->policy,
		  m->policy == HOTSNAP_POLICY_WAIT ? WAIT_MS : 0);
}

static void arm_some(struct model *m)
{
	u64 start = rng_below(&m->rng, SHARED_PAGES);

	hs_arm(m->world->fd, start * PAGE, (1 + rng_below(&m->rng, SHARED_PAGES - start)) * PAGE);
}

/* Refused while a page is pinned, which a remote write does for a moment. */
static void freeze(struct model *m, struct instant *t)
{
	struct hotsnap_freeze f;
	long r;

	choose_buffer(m);
	m->incremental = m->base && rng_chance(&m->rng, 60);
	for (;;) {
		if (rng_chance(&m->rng, 50))
			arm_some(m);
		memset(&f, 0, sizeof(f));
		if (m->incremental) {
			f.flags = HOTSNAP_FREEZE_INCREMENTAL;
			f.base = m->base;
		}
		instant_before(m->world, t);
		r = __hs_freeze(m->world->fd, &f);
		instant_after(m->world, t);
		if (!r)
			break;
		TEST_ASSERT(r == -EBUSY && f.pinned, "freeze: %s, %llu pinned", strerror(-r),
			    f.pinned);
		m->refused++;
	}
	m->snapshot = f.fd;
	m->id = f.id;
	m->size = lseek(f.fd, 0, SEEK_END);
}

/*
 * Reading.
 */
/* Its buffer cannot overflow, or writers wait until it does not. */
static bool is_safe(const struct model *m)
{
	return m->roomy || m->policy == HOTSNAP_POLICY_WAIT;
}

/* Reads a chunk that is not done; false if the snapshot is aborted. */
static bool read_chunk(struct model *m, u8 *to, u64 page, u64 nr)
{
	u64 start = page * PAGE, len = nr * PAGE;
	ssize_t r;

	if (start >= m->size)
		return true;
	if (len > m->size - start)
		len = m->size - start;
	r = sys(pread(m->snapshot, to + start, len, start));
	/* It ended in between: the next read says why. */
	if (r >= 0 && r < len)
		r = sys(pread(m->snapshot, to + start + r, len - r, start + r));
	if (r == -EIO && !is_safe(m) && hs_status(m->snapshot).state == HOTSNAP_STATE_ABORTED)
		return false;
	TEST_ASSERT(r == len, "round %u: %zd of %llu bytes from page %llu: %s", m->rounds, r,
		    (unsigned long long)len, (unsigned long long)page,
		    r < 0 ? strerror(-r) : "short");
	return true;
}

static void say_done(struct model *m, u64 page, u64 nr)
{
	u64 end = (m->size + PAGE - 1) / PAGE;

	if (page >= end)
		return;
	if (nr > end - page)
		nr = end - page;
	hs_done(m->snapshot, page * PAGE, nr * PAGE);
	memset(m->gone + page, true, nr);
}

/*
 * All of it, in chunks in no order.  Where writers wait, they wait for this: then each chunk is
 * done at once.
 */
static bool read_all(struct model *m)
{
	bool seen[PAGE] = { false };
	u64 left = m->pages, page, nr;

	memset(m->image, 0, m->pages * PAGE);
	memset(m->gone, false, m->pages);
	if (is_safe(m))
		snapshot_data(m->snapshot, m->data, m->pages);
	while (left) {
		page = rng_below(&m->rng, m->pages);
		while (seen[page])
			page = (page + 1) % m->pages;
		for (nr = 0; nr < MAX_CHUNK && page + nr < m->pages && !seen[page + nr]; nr++)
			seen[page + nr] = true;
		if (!read_chunk(m, m->image, page, nr))
			return false;
		if (m->policy == HOTSNAP_POLICY_WAIT)
			say_done(m, page, nr);
		left -= nr;
	}
	return true;
}

static void judge(struct model *m, const struct instant *t)
{
	char why[WHY_SIZE];

	TEST_ASSERT(judge_accepts(&m->judge, t, m->image, m->size, why), "round %u: %s",
		    m->rounds, why);
}

/*
 * Comparing, while it is written on.
 */
static bool same_page(const struct model *m, const u8 *other, u64 page)
{
	return !memcmp(m->image + page * PAGE, other + page * PAGE, PAGE);
}

static void compare_data(struct model *m)
{
	const u8 *without = m->incremental ? m->base_image : memset(m->buffer, 0, m->pages * PAGE);
	u64 i, end = (m->size + PAGE - 1) / PAGE;

	for (i = 0; i < end; i++) {
		m->changed += m->data[i];
		TEST_ASSERT(m->data[i] || same_page(m, without, i),
			    "round %u: page %llu is no data, but not what %s", m->rounds,
			    (unsigned long long)i, m->incremental ? "the base has" : "a hole is");
	}
}

static void compare_mapped(struct model *m)
{
	u64 end = (m->size + PAGE - 1) / PAGE, i;
	u8 *map = snapshot_map(m->snapshot, m->pages,
			       rng_chance(&m->rng, 50) ? MAP_SHARED : MAP_PRIVATE);

	for (i = 0; i < end; i++) {
		if (m->gone[i] || rng_chance(&m->rng, 70))
			continue;
		TEST_ASSERT(same_page(m, map, i), "round %u: page %llu, mapped", m->rounds,
			    (unsigned long long)i);
		m->compared++;
	}
	munmap(map, m->pages * PAGE);
}

static bool compare_read(struct model *m)
{
	u64 page, nr, i;

	for (i = 0; i < m->pages / 4; i++) {
		page = rng_below(&m->rng, m->pages);
		for (nr = 0; nr < MAX_CHUNK && page + nr < m->pages && !m->gone[page + nr]; nr++)
			;
		memset(m->buffer + page * PAGE, 0, nr * PAGE);
		if (nr && !read_chunk(m, m->buffer, page, nr))
			return false;
		TEST_ASSERT(!memcmp(m->buffer + page * PAGE, m->image + page * PAGE, nr * PAGE),
			    "round %u: pages %llu+%llu changed", m->rounds,
			    (unsigned long long)page, (unsigned long long)nr);
		m->compared += nr;
	}
	return true;
}

static void compare_done(struct model *m)
{
	u64 page = rng_below(&m->rng, (m->size + PAGE - 1) / PAGE);
	u8 byte;

	say_done(m, page, 1 + rng_below(&m->rng, 32));
	REFUSED(ENODATA, sys(pread(m->snapshot, &byte, 1, page * PAGE)));
}

/* A fork has the same memory, and what happens to it is no one else's concern. */
static void compare_fork(struct model *m)
{
	struct memory child;
	u64 i, end = m->size / PAGE;

	memory_new(&child, "fork", m->pages);
	hs_source(child.fd, m->snapshot);
	for (i = 0; i < end; i++) {
		if (m->gone[i] || rng_chance(&m->rng, 80))
			continue;
		TEST_ASSERT(same_page(m, child.map, i), "round %u: page %llu of a fork",
			    m->rounds, (unsigned long long)i);
		page_fill(child.map + i * PAGE, i + 1);
	}
	munmap(child.map, m->pages * PAGE);
	close(child.fd);
	TEST_ASSERT(!unlink(child.path), "unlink");
	m->forks++;
}

/* With a small buffer it may be aborted at any time: then a read fails, and that is all. */
static void compare(struct model *m)
{
	if (!compare_read(m) || !is_safe(m))
		return;
	compare_data(m);
	if (!m->roomy)
		return;
	compare_mapped(m);
	if (rng_chance(&m->rng, 20))
		compare_fork(m);
	while (rng_chance(&m->rng, 60))
		compare_done(m);
	compare_read(m);
	compare_mapped(m);
}

/*
 * Ending.
 */
static void count(struct model *m)
{
	struct hotsnap_status s = hs_status(m->snapshot);
	u64 saved = 0, fresh = 0;
	unsigned int i;

	for (i = 0; i < HOTSNAP_NR_WRITERS; i++) {
		saved += s.saved[i];
		fresh += s.fresh[i];
		m->saved[i] += s.saved[i];
		m->fresh[i] += s.fresh[i];
	}
	m->waits += s.waits;
	TEST_ASSERT(saved + fresh <= m->pages, "round %u: %llu pages saved, %llu fresh",
		    m->rounds, (unsigned long long)saved, (unsigned long long)fresh);
	TEST_ASSERT(s.buffer_used <= s.buffer_peak && s.buffer_peak <= s.buffer_limit,
		    "round %u: %llu bytes in a buffer of %llu, at most %llu", m->rounds,
		    s.buffer_used, s.buffer_limit, s.buffer_peak);
}

static void commit(struct model *m)
{
	u8 *image = m->base_image;
	long r = __hs_commit(m->snapshot);

	if (r) {
		TEST_ASSERT(!is_safe(m) && hs_status(m->snapshot).state == HOTSNAP_STATE_ABORTED,
			    "round %u: commit: %s", m->rounds, strerror(-r));
		return;
	}
	m->base_image = m->image;
	m->image = image;
	m->base = m->id;
	m->committed++;
	m->increments += m->incremental;
}

static void end(struct model *m)
{
	u32 dice = rng_below(&m->rng, 100);

	count(m);
	if (dice < 60)
		commit(m);
	else if (dice < 70)
		hs_cancel(m->snapshot);
	else if (dice < 80)
		hs_cancel(m->world->fd);
	close(m->snapshot);
	TEST_ASSERT(!hs_status(m->world->fd).buffer_used, "round %u: the buffer is not empty",
		    m->rounds);
	TEST_ASSERT(hs_status(m->world->fd).base == m->base, "round %u: the base", m->rounds);
}

static void one_round(struct model *m)
{
	struct instant t;

	sleep_ms(rng_below(&m->rng, 20));
	freeze(m, &t);
	sleep_ms(rng_below(&m->rng, 10));
	if (!read_all(m)) {
		judge_skip(&m->judge, &t);
		m->aborted++;
	} else {
		judge(m, &t);
		compare(m);
	}
	end(m);
	world_check(m->world);
	m->rounds++;
}

static u64 operations(const struct world *w)
{
	unsigned int i;
	u64 sum = 0;

	for (i = 0; i < w->nr_writers; i++)
		sum += w->writer[i].done;
	return sum;
}

static void report(const struct model *m)
{
	static const char * const class[] = { "guest", "DMA", "kernel", "copy" };
	unsigned int i;

	tap_note("%llu operations, %u snapshots: %u committed (%u increments), %u aborted; "
		 "%u freezes refused, %u forks", (unsigned long long)operations(m->world),
		 m->rounds, m->committed, m->increments, m->aborted, m->refused, m->forks);
	tap_note("%llu pages compared, %llu were data, %llu waits",
		 (unsigned long long)m->compared, (unsigned long long)m->changed,
		 (unsigned long long)m->waits);
	for (i = 0; i < HOTSNAP_NR_WRITERS; i++)
		tap_note("%s: %llu pages saved, %llu fresh", class[i],
			 (unsigned long long)m->saved[i], (unsigned long long)m->fresh[i]);
}

/* Nobody writes: the memory is what the logs say, and so is a last snapshot. */
static void at_rest(struct model *m)
{
	struct instant t;

	m->roomy = true;
	instant_before(m->world, &t);
	instant_after(m->world, &t);
	m->snapshot = hs_freeze(m->world->fd);
	m->size = lseek(m->snapshot, 0, SEEK_END);
	TEST_ASSERT(read_all(m), "it cannot be read");
	judge(m, &t);
	TEST_ASSERT(pread(m->world->fd, m->buffer, m->size, 0) == m->size &&
		    !memcmp(m->buffer, m->image, m->size), "the memory is not the snapshot");
	hs_commit(m->snapshot);
	close(m->snapshot);
	TEST_ASSERT(!hs_status(m->world->fd).buffer_used, "the buffer is not empty");
}

static void snapshots(u64 seed, u64 rounds)
{
	static const char each[] = "each snapshot is one instant, stays it, and knows its changes";
	static const char last[] = "in the end nothing is lost, and all is given back";
	struct memory memory;
	struct model m;

	tap_plan(2);
	memory_new(&memory, "memory", 1);
	model_init(&m, memory.fd, seed);
	tap_testing(each);
	world_start(m.world);
	while (m.rounds < rounds)
		one_round(&m);
	world_stop(m.world);
	tap_ok("%s", each);
	tap_testing(last);
	at_rest(&m);
	tap_ok("%s", last);
	report(&m);
}

/*
 * The model's own test: images that are instants, and images that are not.
 */
static void plain_image(struct model *m)
{
	u64 page;

	memset(m->image, 0, m->pages * PAGE);
	m->size = lseek(m->world->fd, 0, SEEK_END);
	for (page = 0; page < m->pages; page++)
		TEST_ASSERT(__page_read(m->world->fd, page, m->image + page * PAGE) >= 0, "read");
}

static bool accepted(struct model *m, const struct instant *t, char *why)
{
	return judge_accepts(&m->judge, t, m->image, m->size, why);
}

static bool plain_round(struct model *m, bool held)
{
	struct instant t;
	char why[WHY_SIZE];
	bool r;

	sleep_ms(rng_below(&m->rng, 10));
	if (held)
		gate_close(m->world);
	instant_before(m->world, &t);
	plain_image(m);
	instant_after(m->world, &t);
	if (held)
		gate_open(m->world);
	r = accepted(m, &t, why);
	TEST_ASSERT(r || !held, "round %u: %s", m->rounds, why);
	world_check(m->world);
	m->rounds++;
	return r;
}

static unsigned int plain_rounds(u64 seed, unsigned int rounds, bool held)
{
	struct model m;
	unsigned int nr = 0;

	model_init(&m, memfd_create("memory", 0), seed);
	m.world->gated = held;
	world_start(m.world);
	while (m.rounds < rounds)
		nr += plain_round(&m, held);
	world_stop(m.world);
	tap_note("%llu operations, %u of %u images accepted",
		 (unsigned long long)operations(m.world), nr, rounds);
	return nr;
}

/* The number of a writer's next operation of that kind.  The image is without it. */
static u64 step_to(struct model *m, unsigned int nr, enum op_kind kind)
{
	struct writer *w = &m->world->writer[nr];
	const struct op *op;

	do {
		plain_image(m);
		writer_step(w);
		op = writer_op(w, w->done);
	} while (op->kind != kind || op->len < 2 * sizeof(u64));
	return w->done;
}

/* Puts a part of an operation into the image, as it is in the memory or the other image. */
static void show(struct model *m, const struct op *op, u32 from, u32 to, const u8 *other)
{
	memcpy(m->image + op->start + from, other + op->start + from, to - from);
}

static void expect_accepted(struct model *m, const struct instant *t, bool want, const char *what)
{
	char why[WHY_SIZE] = "";

	TEST_ASSERT(accepted(m, t, why) == want, "%s %s: %s", what,
		    want ? "is refused" : "passes", why);
}

/* One operation, under way and over. */
static void judge_of_one(struct model *m, enum op_kind kind)
{
	u64 number = step_to(m, 1, kind);
	const struct op *op = writer_op(&m->world->writer[1], number);
	u32 half = op->len / 2 / sizeof(u64) * sizeof(u64);
	bool parts = kind != OP_WRITE || (op->start + half) % PAGE == 0;
	u8 *memory = m->world->alias[0];
	struct instant t;

	memcpy(m->buffer, m->image, m->pages * PAGE);
	instant_before(m->world, &t);
	instant_after(m->world, &t);
	t.before[1] = number - 1;
	expect_accepted(m, &t, true, "an operation under way that does not show");
	show(m, op, 0, half, memory);
	expect_accepted(m, &t, parts, "the first half of an operation");
	show(m, op, half, op->len, memory);
	expect_accepted(m, &t, true, "an operation under way that shows");
	show(m, op, 0, half, m->buffer);
	expect_accepted(m, &t, false, "the second half of an operation");
	show(m, op, 0, half, memory);
	t.after[1] = number - 1;
	expect_accepted(m, &t, false, "an operation that had not begun");
	t.after[1] = number;
	t.before[1] = number;
	expect_accepted(m, &t, true, "an operation that is over");
	m->image[op->start] ^= 1;
	expect_accepted(m, &t, false, "a foreign byte");
	show(m, op, 0, op->len, m->buffer);
	expect_accepted(m, &t, false, "a lost operation");
}

/* Two operations of two writers, one after the other. */
static void judge_of_two(struct model *m)
{
	struct writer *w = m->world->writer;
	u64 cause, effect;
	struct instant t;

	do {
		cause = step_to(m, 0, OP_WRITE);
		memcpy(m->buffer, m->image, m->pages * PAGE);
		plain_image(m);
		writer_step(&w[1]);
		effect = w[1].done;
	} while (writer_op(&w[1], effect)->kind != OP_WRITE);
	instant_before(m->world, &t);
	instant_after(m->world, &t);
	t.before[0] = cause - 1;
	t.before[1] = effect - 1;
	expect_accepted(m, &t, true, "a cause without its effect");
	show(m, writer_op(&w[0], cause), 0, writer_op(&w[0], cause)->len, m->buffer);
	expect_accepted(m, &t, true, "neither cause nor effect");
	show(m, writer_op(&w[1], effect), 0, writer_op(&w[1], effect)->len, m->world->alias[0]);
	expect_accepted(m, &t, false, "an effect without its cause");
}

static void judge_sees(u64 seed)
{
	struct model m;
	unsigned int i;

	model_init(&m, memfd_create("memory", 0), seed);
	for (i = 0; i < 20; i++) {
		judge_of_one(&m, OP_STORE);
		judge_of_one(&m, OP_READ);
		judge_of_one(&m, OP_WRITE);
		judge_of_two(&m);
	}
}

static void self(u64 seed, u64 rounds)
{
	static const char held[] = "images made while no operation is under way are instants";
	static const char running[] = "copies made while it is written on are none";
	static const char sees[] = "lost, torn, foreign, future and causeless writes are seen";

	tap_plan(3);
	tap_testing(held);
	plain_rounds(seed, rounds, true);
	tap_ok("%s", held);
	tap_testing(running);
	TEST_ASSERT(plain_rounds(seed, rounds, false) < rounds, "all were accepted");
	tap_ok("%s", running);
	tap_testing(sees);
	judge_sees(seed);
	tap_ok("%s", sees);
}

static int model_main(int argc, char **argv)
{
	u64 rounds = env_u64("HOTSNAP_ROUNDS", 60), seed = test_seed("SEED");
	u64 writers = env_u64("HOTSNAP_WRITERS", 4);

	if (argc > 2 || (argc == 2 && strcmp(argv[1], "self")) || writers < 2 ||
	    writers > MAX_WRITERS) {
		fprintf(stderr, "usage: hotsnap_model [self]\n");
		return 2;
	}
	if (argc == 2)
		self(seed, rounds);
	else
		snapshots(seed, rounds);
	return 0;
}

int main(int argc, char **argv)
{
	return tap_main(model_main, NULL, argc, argv);
}
