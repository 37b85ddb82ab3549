// SPDX-License-Identifier: GPL-2.0-only
/*
 * Crash test: power cuts at every place that dm-log-writes can show.
 *
 *	cdp_crash <disk> <log> <replay disk> <spare> [<check command>]
 *	cdp_crash --plain ...		no pool: tests the replay itself
 *
 * Metadata and data of the pool are two slices of one dm-log-writes device, so that
 * one log orders the writes of both.  First a random workload runs, all of what
 * it was acknowledged being marked in the log.  Then, for each cut, the log is
 * replayed to it as log_writes.h tells, into a snapshot of the replay disk that is
 * thrown away afterwards; the check command is run as "<command> <metadata> <data>";
 * the pool is opened and compared with the model:
 *
 *  1. every volume, mark and branch that was acknowledged is there, and no other;
 *  2. every sector shows a write to that very sector, not older than the newest that
 *     was acknowledged as flushed;
 *  3. every sampled instant that was flushed reads as it did then, byte for byte;
 *  4. the pool goes on from there: write, flush, revert, close, check, open, compare.
 *
 * The disk's cache is one for both slices: a flush of the metadata would make the
 * data stable too and so hide that the module forgot to flush these.  Hence the
 * second half of the runs: metadata without a volatile cache (the target cdp-durable,
 * module/), so that its writes are stable at once, in order, and only flushes of the
 * data device reach the log.
 *
 * Environment: CDP_SEED, CDP_CRASH_CUTS (30), CDP_CRASH_EPOCHS (6), CDP_CRASH_PLACE
 * (only the cut after that entry of the log).
 */
#include "log_writes.h"
#include "model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	META_SECTORS	= 16 << 11,
	DATA_SECTORS	= 160 << 11,
	DISK_SECTORS	= META_SECTORS + DATA_SECTORS,
	EPOCH_OPS	= 80,
	AFTER_OPS	= 24,
	AFTER_EVERY	= 4,	/* one cut of so many goes on to work with the pool */
	MAX_EPOCHS	= 512,
};

/* What was known at a quiet moment. */
struct state {
	struct volume volume[MAX_VOLUMES];
	unsigned int nr_samples;
	char (*mark)[sizeof(((struct sample *)0)->mark)];	/* of each sample */
};

/*
 * Epoch n: a burst; all is flushed, "sync n" stands in the log; one control
 * operation; "control n".
 */
struct epoch {
	u32 first, last;	/* the burst's operations */
	struct state synced;
	struct state controlled;
};

/* What the log says was acknowledged at a cut. */
struct place {
	unsigned int epoch;
	bool in_control;	/* past "sync", not past "control" of the epoch */
	u64 must[MAX_VOLUMES];	/* operations done before it were flushed */
	bool *sure;		/* per operation of the epoch: was acknowledged as FUA */
};

struct crash {
	struct world w;
	const char *disk, *log_device, *replay, *spare, *check;
	bool through;		/* metadata without a cache */
	struct rng rng;
	struct epoch epoch[MAX_EPOCHS];
	unsigned int nr_epochs;
	struct write_log log;
	unsigned int start;	/* the first entry to cut after */
	unsigned int nr_cuts;
	unsigned int *cut;	/* ascending */
	int base;		/* the replay disk */
};

/*
 * The stack: slices of a device.
 */
static void slices_open(const char *below, const char *meta_target)
{
	char path[32];

	dm_node(below, path, sizeof(path));
	dm_table(&(struct dm_spec){ "meta", META_SECTORS, meta_target, false }, "%s 0", path);
	dm_table(&(struct dm_spec){ "data", DATA_SECTORS, "linear", false }, "%s %u", path,
		 META_SECTORS);
}

static void slices_close(const char *below)
{
	dm_delete("meta");
	dm_delete("data");
	dm_delete(below);
}

static void world_find_slices(struct world *w)
{
	dm_node("meta", w->meta, sizeof(w->meta));
	dm_node("data", w->data, sizeof(w->data));
}

/* Since 6.11 a device has its parent's cache, unless it is told otherwise. */
static void write_through(const char *name)
{
	static const char text[] = "write through";
	char node[32], path[96];
	FILE *f;

	dm_node(name, node, sizeof(node));
	snprintf(path, sizeof(path), "/sys/block/%s/queue/write_cache", node + strlen("/dev/"));
	f = fopen(path, "w");
	TEST_ASSERT(f && fputs(text, f) >= 0 && !fclose(f), "cannot write %s", path);
}

/*
 * Workload.
 */
static void state_save(struct world *w, struct state *s)
{
	unsigned int i;

	memcpy(s->volume, w->volume, sizeof(s->volume));
	for (i = 0; i < MAX_VOLUMES; i++)
		if (s->volume[i].exists)
			s->volume[i].now = image_copy(w->volume[i].now, w->volume[i].sectors);
	s->nr_samples = w->nr_samples;
	s->mark = calloc(w->nr_samples + 1, sizeof(*s->mark));
	TEST_ASSERT(s->mark, "no memory");
	for (i = 0; i < w->nr_samples; i++)
		strcpy(s->mark[i], w->sample[i].mark);
}

static void random_revert(struct world *w)
{
	unsigned int slot = rng_below(&w->rng, 2);
	struct sample *s = world_random_sample(w, slot);

	if (s)
		world_revert(w, slot, s);
}

static void random_unmark(struct world *w)
{
	struct sample *s = world_random_sample(w, 0);

	if (s && s->mark[0])
		world_unmark(w, s);
}

static void random_control(struct world *w)
{
	switch (rng_below(&w->rng, 8)) {
	case 0:
	case 1:
		world_mark(w);
		break;
	case 2:
		random_unmark(w);
		break;
	case 3:
	case 4:
		random_revert(w);
		break;
	case 5:
		dm_say("pool", NULL, 0, "checkpoint");
		break;
	case 6:
		if (w->volume[2].exists)
			world_delete_volume(w, 2);
		else
			world_create_volume(w, 2, 2048);
		break;
	case 7:
		world_close(w);
		world_open(w);
	}
}

static void log_note(struct crash *c, const char *what, unsigned int epoch)
{
	dm_say("log", NULL, 0, "mark %s:%u", what, epoch);
}

static void run_epoch(struct crash *c, unsigned int n)
{
	struct world *w = &c->w;
	struct epoch *e = &c->epoch[n];
	struct burst b;

	burst_start(w, &b, w->history ? 3 : 1, EPOCH_OPS);
	burst_finish(w, &b);
	e->first = b.first;
	e->last = b.last;
	burst_free(&b);
	/* A mark makes stable what was done before it, as a flush does. */
	if (w->history && rng_chance(&w->rng, 50)) {
		world_mark(w);
	} else {
		if (w->history)
			world_sample(w);
		world_flush(w);
	}
	state_save(w, &e->synced);
	log_note(c, "sync", n);
	if (w->history)
		random_control(w);
	state_save(w, &e->controlled);
	log_note(c, "control", n);
}

/* Flushes take turns, or the log does not have their order (module/cdp-turns.c). */
static void log_open(struct crash *c)
{
	char path[32];

	dm_table(&(struct dm_spec){ "log", DISK_SECTORS, "log-writes", false }, "%s %s", c->disk,
		 c->log_device);
	dm_node("log", path, sizeof(path));
	dm_table(&(struct dm_spec){ "turns", DISK_SECTORS, "cdp-turns", false }, "%s 0", path);
}

static void run_workload(struct crash *c)
{
	struct world *w = &c->w;
	unsigned int n;

	log_open(c);
	slices_open("turns", c->through ? "cdp-durable" : "linear");
	if (c->through)
		write_through("meta");
	world_find_slices(w);
	world_open(w);
	world_create_volume(w, 0, 8192);
	world_create_volume(w, 1, 4096);
	w->log = "log";
	/* Epoch 0 is the creation. */
	c->epoch[0].first = c->epoch[0].last = w->next_op;
	state_save(w, &c->epoch[0].controlled);
	log_note(c, "control", 0);
	for (n = 1; n < c->nr_epochs; n++)
		run_epoch(c, n);
	w->log = NULL;
	world_close(w);
	slices_close("turns");
	dm_delete("log");
}

/*
 * Places in the log.
 */
static void place_begin_epoch(struct crash *c, struct place *p, unsigned int n)
{
	p->epoch = n;
	p->in_control = false;
	memset(p->must, 0, sizeof(p->must));
	free(p->sure);
	p->sure = n < c->nr_epochs ?
		  calloc(c->epoch[n].last - c->epoch[n].first + 1, sizeof(*p->sure)) : NULL;
}

static void place_learn(struct crash *c, struct place *p, const char *mark)
{
	unsigned int n;
	u64 ticket;

	if (sscanf(mark, "control:%u", &n) == 1) {
		place_begin_epoch(c, p, n + 1);
	} else if (sscanf(mark, "sync:%u", &n) == 1) {
		p->in_control = true;
	} else if (sscanf(mark, "flush:%u:%" SCNu64, &n, &ticket) == 2) {
		if (ticket > p->must[n])
			p->must[n] = ticket;
	} else if (sscanf(mark, "fua:%u", &n) == 1 && p->sure) {
		p->sure[n - c->epoch[p->epoch].first] = true;
	}
}

static int compare_cuts(const void *a, const void *b)
{
	return *(const unsigned int *)a < *(const unsigned int *)b ? -1 : 1;
}

/* The next entry from i on that makes something stable. */
static unsigned int next_stable(struct crash *c, unsigned int i)
{
	while (i + 1 < c->log.nr && !(c->log.entry[i].flags & (LOG_FLUSH | LOG_FUA)))
		i++;
	return i;
}

static unsigned int count_stable(struct crash *c)
{
	unsigned int i, n = 0;

	for (i = c->start; i < c->log.nr; i++)
		if (c->log.entry[i].flags & (LOG_FLUSH | LOG_FUA))
			n++;
	return n;
}

/*
 * A third anywhere, the rest after flushes and FUA writes: all of these if there
 * are enough cuts, else at random.
 */
static void choose_cuts(struct crash *c)
{
	unsigned int i, at, span = c->log.nr - c->start, all = count_stable(c);

	c->cut = calloc(c->nr_cuts, sizeof(*c->cut));
	TEST_ASSERT(c->cut && span > 1, "nothing to cut");
	for (i = 0, at = c->start; i < c->nr_cuts; i++) {
		if (all <= c->nr_cuts * 2 / 3 && at + 1 < c->log.nr) {
			at = c->cut[i] = next_stable(c, at);
			at++;
			continue;
		}
		c->cut[i] = c->start + rng_below(&c->rng, span);
		if (all > c->nr_cuts * 2 / 3 && i % 3)
			c->cut[i] = next_stable(c, c->cut[i]);
	}
	qsort(c->cut, c->nr_cuts, sizeof(*c->cut), compare_cuts);
	if (getenv("CDP_CRASH_PLACE")) {
		c->nr_cuts = 1;
		c->cut[0] = env_u64("CDP_CRASH_PLACE", 0);
	}
}

static void find_start(struct crash *c)
{
	const struct log_entry *e = c->log.entry;

	for (c->start = 0; c->start < c->log.nr; c->start++)
		if (e[c->start].mark && !strcmp(e[c->start].mark, "control:0"))
			return;
	TEST_ASSERT(false, "the log has no beginning");
}

/*
 * Replay.
 */
/* The base takes what is stable at the end of a segment that ends with a flush. */
static void base_take_segment(struct crash *c, unsigned int from, unsigned int to)
{
	unsigned int i;

	for (i = from; i <= to; i++)
		if (log_entry_writes(&c->log.entry[i]))
			write_log_apply(&c->log, &c->log.entry[i], c->base, NULL, 100);
}

/*
 * What may be left of the writes after the last flush.  One mood per cut: the
 * cache had been written back in part, not at all, or wholly.
 */
static void replay_unflushed(struct crash *c, int fd, unsigned int from, unsigned int cut)
{
	static const u32 moods[] = { 0, 10, 50, 50, 90, 100 };
	u32 mood = moods[rng_below(&c->rng, ARRAY_SIZE(moods))];
	unsigned int i;

	for (i = from; i <= cut; i++) {
		const struct log_entry *e = &c->log.entry[i];

		if (!log_entry_writes(e))
			continue;
		if (e->flags & LOG_FUA)
			write_log_apply(&c->log, e, fd, NULL, 100);
		else if (rng_chance(&c->rng, mood))
			write_log_apply(&c->log, e, fd, &c->rng, rng_chance(&c->rng, 25) ? 50 : 100);
	}
	/* The write under way. */
	if (cut + 1 < c->log.nr && log_entry_writes(&c->log.entry[cut + 1]) &&
	    rng_chance(&c->rng, 50))
		write_log_apply(&c->log, &c->log.entry[cut + 1], fd, &c->rng,
				rng_below(&c->rng, 101));
}

static void cut_open(struct crash *c, unsigned int from, unsigned int cut)
{
	char path[32];
	int fd;

	dm_table(&(struct dm_spec){ "cut", DISK_SECTORS, "snapshot", false }, "%s %s N 8",
		 c->replay, c->spare);
	dm_node("cut", path, sizeof(path));
	fd = block_open(path, true);
	replay_unflushed(c, fd, from, cut);
	close(fd);
	slices_open("cut", "linear");
}

/*
 * Comparison.
 */
static void state_load(struct world *w, const struct state *s)
{
	unsigned int i;

	for (i = 0; i < MAX_VOLUMES; i++) {
		if (w->volume[i].exists)
			free(w->volume[i].now);
		w->volume[i] = s->volume[i];
		w->volume[i].fd = -1;
		if (s->volume[i].exists)
			w->volume[i].now = image_copy(s->volume[i].now, s->volume[i].sectors);
	}
	w->nr_samples = s->nr_samples;
	for (i = 0; i < s->nr_samples; i++)
		strcpy(w->sample[i].mark, s->mark[i]);
}

static void read_live(struct world *w, unsigned int slot, u32 *image)
{
	char name[8], path[32], why[WHY_SIZE];

	snprintf(name, sizeof(name), "v%u", slot);
	dm_node(name, path, sizeof(path));
	TEST_ASSERT(image_read(w, slot, path, image, why), "volume %u: %s", slot, why);
}

static void open_volumes(struct world *w)
{
	unsigned int slot;

	for (slot = 0; slot < MAX_VOLUMES; slot++)
		if (w->volume[slot].exists)
			volume_open(w, slot);
}

static void close_volumes(struct world *w)
{
	unsigned int slot;

	for (slot = 0; slot < MAX_VOLUMES; slot++)
		if (w->volume[slot].exists)
			volume_close(w, slot);
}

static bool state_matches(struct world *w, const struct state *s, char *why)
{
	unsigned int slot;
	bool same = true;

	state_load(w, s);
	if (w->history && !world_lists_match(w, why))
		return false;
	open_volumes(w);
	for (slot = 0; same && slot < MAX_VOLUMES; slot++) {
		struct volume *v = &w->volume[slot];
		u32 *got;

		if (!v->exists)
			continue;
		got = image_new(v->sectors);
		read_live(w, slot, got);
		same = image_same(v->now, got, v->sectors, why);
		free(got);
	}
	if (!same)
		close_volumes(w);
	return same;
}

/*
 * In a burst: lists as after the control before it, content by expectation. But the mark
 * that may end it (see run_epoch()) can be there without having been acknowledged,
 * and then with all that was before it.
 */
static void compare_in_burst(struct crash *c, struct world *w, const struct place *p)
{
	const struct epoch *e = &c->epoch[p->epoch];
	char why[WHY_SIZE], after[WHY_SIZE];
	unsigned int slot;

	state_load(w, &c->epoch[p->epoch - 1].controlled);
	if (w->history && !world_lists_match(w, why)) {
		TEST_ASSERT(state_matches(w, &e->synced, after),
			    "neither before (%s) nor after (%s) the mark of epoch %u", why, after,
			    p->epoch);
		return;
	}
	open_volumes(w);
	for (slot = 0; slot < MAX_VOLUMES; slot++) {
		struct volume *v = &w->volume[slot];
		struct expect x = { .slot = slot, .base = v->now, .first = e->first,
				    .last = e->last, .must = p->must[slot], .limit = FOREVER,
				    .sure = p->sure };
		u32 *got;

		if (!v->exists)
			continue;
		got = image_new(v->sectors);
		read_live(w, slot, got);
		TEST_ASSERT(expect_matches(w, &x, got, why), "volume %u: %s", slot, why);
		free(v->now);
		v->now = got;
	}
}

/* A control operation that was not acknowledged has happened or not, nothing else. */
static void compare_in_control(struct crash *c, struct world *w, const struct place *p)
{
	char before[WHY_SIZE], after[WHY_SIZE];

	if (state_matches(w, &c->epoch[p->epoch].synced, before))
		return;
	TEST_ASSERT(state_matches(w, &c->epoch[p->epoch].controlled, after),
		    "neither before (%s) nor after (%s) the control operation of epoch %u", before,
		    after, p->epoch);
}

static void compare_history(struct world *w, unsigned int nr)
{
	while (nr--) {
		unsigned int slot = rng_below(&w->rng, 3);
		const struct sample *s = world_random_sample(w, slot);

		if (s)
			world_check_view(w, 0, slot, s);
	}
}

static void run_check(struct crash *c, struct world *w)
{
	char command[512];

	if (!c->check)
		return;
	snprintf(command, sizeof(command), "%s %s %s > /tmp/cdp_crash.check 2>&1 || { sed 's/^/# /' /tmp/cdp_crash.check; exit 1; }",
		 c->check, w->meta, w->data);
	fflush(stdout);
	TEST_ASSERT(!system(command), "'%s' finds fault", command);
}

/* The pool must not just read well: it goes on. */
static void go_on(struct crash *c, struct world *w)
{
	struct sample *s;
	struct burst b;

	burst_start(w, &b, 2, AFTER_OPS);
	burst_finish(w, &b);
	burst_free(&b);
	world_flush(w);
	if (w->history) {
		world_mark(w);
		s = world_random_sample(w, 0);
		if (s)
			world_revert(w, 0, s);
	}
	world_check_live(w);
	world_close(w);
	run_check(c, w);
	world_open(w);
	world_check_live(w);
	if (w->history)
		compare_history(w, 2);
}

/* Works on a copy of the world: the next cut must find the model as it was. */
static void world_fork(struct crash *c, struct world *w)
{
	unsigned int i;

	*w = c->w;
	w->rng.state = rng_next(&c->rng) | 1;
	w->sample = calloc(c->w.nr_samples + 1, sizeof(*w->sample));
	TEST_ASSERT(w->sample, "no memory");
	memcpy(w->sample, c->w.sample, c->w.nr_samples * sizeof(*w->sample));
	for (i = 0; i < MAX_VOLUMES; i++)
		w->volume[i].exists = false;
}

static void world_join(struct crash *c, struct world *w)
{
	unsigned int i;

	/* Ids and tickets stay unique over all cuts. */
	c->w.next_op = w->next_op;
	c->w.ticket = w->ticket;
	for (i = 0; i < MAX_VOLUMES; i++)
		if (w->volume[i].exists)
			free(w->volume[i].now);
	free(w->sample);
}

static void cut_check(struct crash *c, const struct place *p, bool more)
{
	struct world w;
	int r;

	world_fork(c, &w);
	world_find_slices(&w);
	if (w.history) {
		run_check(c, &w);
		r = __world_open_pool(&w);
		TEST_ASSERT(!r, "the pool does not open: error %d", r);
	}
	if (p->in_control)
		compare_in_control(c, &w, p);
	else
		compare_in_burst(c, &w, p);
	if (w.history)
		compare_history(&w, 2);
	if (more)
		go_on(c, &w);
	world_close(&w);
	world_join(c, &w);
}

static void run_cuts(struct crash *c)
{
	unsigned int i, k = 0, from = 0;
	struct place p = { 0 };

	for (i = 0; i < c->log.nr && k < c->nr_cuts; i++) {
		const struct log_entry *e = &c->log.entry[i];

		if (e->mark)
			place_learn(c, &p, e->mark);
		if (log_entry_flushes(e)) {
			base_take_segment(c, from, i);
			from = i + 1;
		}
		for (; k < c->nr_cuts && c->cut[k] == i; k++) {
			/* After the last epoch there is nothing to compare with but its end. */
			if (p.epoch >= c->nr_epochs)
				continue;
			if (getenv("CDP_CRASH_VERBOSE"))
				tap_note("cut after entry %u of %u, epoch %u%s", i, c->log.nr,
					 p.epoch, p.in_control ? ", control" : "");
			cut_open(c, from, i);
			cut_check(c, &p, k % AFTER_EVERY == 0);
			slices_close("cut");
		}
	}
	base_take_segment(c, from, c->log.nr - 1);
	free(p.sure);
}

static bool disks_same(const char *a, const char *b)
{
	enum { CHUNK = 1 << 20 };
	char *x = block_buffer(CHUNK), *y = block_buffer(CHUNK);
	int fa = block_open(a, false), fb = block_open(b, false);
	u64 at, size = (u64)DISK_SECTORS * SECTOR_SIZE;
	bool same = true;

	for (at = 0; same && at < size; at += CHUNK)
		same = pread(fa, x, CHUNK, at) == CHUNK && pread(fb, y, CHUNK, at) == CHUNK &&
		       !memcmp(x, y, CHUNK);
	close(fa);
	close(fb);
	free(x);
	free(y);
	return same;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void crash_run(struct crash *c)
{
	double began;

	tap_testing("a random workload runs on dm-log-writes");
	run_workload(c);
	write_log_load(&c->log, c->log_device);
	find_start(c);
	choose_cuts(c);
	tap_note("metadata %s, %u entries in the log, %u make something stable",
		 c->through ? "without a cache" : "behind the same cache", c->log.nr,
		 count_stable(c));
	tap_ok("a random workload runs on dm-log-writes");

	tap_testing("after every cut all that was flushed is there, and nothing is mixed");
	c->base = block_open(c->replay, true);
	began = seconds();
	run_cuts(c);
	tap_ok("after every cut all that was flushed is there, and nothing is mixed");
	tap_note("%u cuts, %.2f a second", c->nr_cuts, c->nr_cuts / (seconds() - began));

	tap_testing("the log replayed to its end is what the disk holds");
	if (!getenv("CDP_CRASH_PLACE"))
		TEST_ASSERT(disks_same(c->disk, c->replay), "they differ");
	tap_ok("the log replayed to its end is what the disk holds");
	close(c->base);
	write_log_free(&c->log);
}

static int crash_main(int argc, char **argv)
{
	static struct crash c;
	bool plain = argc > 1 && !strcmp(argv[1], "--plain");
	u64 seed = test_seed("CDP_SEED");

	argv += plain;
	argc -= plain;
	if (argc < 5) {
		fprintf(stderr, "usage: cdp_crash [--plain] DISK LOG REPLAY SPARE [CHECK]\n");
		return 2;
	}
	c.disk = argv[1];
	c.log_device = argv[2];
	c.replay = argv[3];
	c.spare = argv[4];
	c.check = argc > 5 ? argv[5] : NULL;
	c.through = env_u64("CDP_CRASH_THROUGH", seed & 1);
	c.nr_cuts = env_u64("CDP_CRASH_CUTS", 30);
	c.nr_epochs = 1 + env_u64("CDP_CRASH_EPOCHS", 6);
	TEST_ASSERT(c.nr_epochs <= MAX_EPOCHS, "at most %u epochs", MAX_EPOCHS - 1);
	rng_init(&c.rng, seed + 1);
	world_init(&c.w, seed, c.nr_epochs * EPOCH_OPS + (c.nr_cuts + 2) * AFTER_OPS);
	/*
	 * A plain device is written in place, and dm-log-writes orders overlapping
	 * writes in flight, and FUA writes, otherwise than the disk did.
	 */
	c.w.history = c.w.discards = c.w.fua = !plain;
	strcpy(c.w.options, "6 journal_blocks 16 checkpoint_extents 64 checkpoint_ms 50");
	tap_plan(3);
	crash_run(&c);
	return 0;
}

int main(int argc, char **argv)
{
	return tap_main(crash_main, dm_clean_up, argc, argv);
}
