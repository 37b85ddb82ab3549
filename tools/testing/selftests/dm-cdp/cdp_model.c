// SPDX-License-Identifier: GPL-2.0-only
/*
 * Model test: a pool is driven at random, and held against the model (model.h).
 *
 *	cdp_model pool <metadata dev> <data dev> [<block size (sectors)>]
 *	cdp_model plain <dev>			the model's own test: no pool, no history
 *
 * Environment: CDP_SEED, CDP_MODEL_OPS (operations, default 3000), CDP_THREADS.
 * The threads' order is the scheduler's: a seed gives the same operations, not
 * the same races.
 */
#include "model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	BURST_OPS	= 100,
	NR_WATCHED	= 3,	/* views held open through a burst */
	NR_PROBES	= 2,	/* instants asked for while writes are in flight */
};

/* A view that stays open while the volumes are written. */
struct watched {
	unsigned int slot;
	const struct sample *sample;	/* NULL: an instant amid the burst */
	u64 time;
	u64 before, after;		/* tickets around the question for the time */
	u32 *image;
};

static const u32 volume_sectors[MAX_VOLUMES - 1] = { 16384, 8192, 4096 };

static u64 nr_views, nr_reverts, nr_marks, nr_reopens;

static unsigned int any_volume(struct world *w)
{
	unsigned int slot;

	do {
		slot = rng_below(&w->rng, MAX_VOLUMES);
	} while (!w->volume[slot].exists);
	return slot;
}

static void check_random_views(struct world *w, unsigned int nr)
{
	while (nr--) {
		unsigned int slot = any_volume(w);
		const struct sample *s = world_random_sample(w, slot);

		if (!s)
			continue;
		world_check_view(w, 0, slot, s);
		nr_views++;
	}
}

static void watch_sample(struct world *w, struct watched *x, unsigned int n)
{
	struct sample *s;
	char instant[24];

	x->slot = any_volume(w);
	s = world_random_sample(w, x->slot);
	if (!s)
		s = world_sample(w);
	x->time = s->time;
	x->image = image_copy(s->image[x->slot], w->volume[x->slot].sectors);
	sprintf(instant, "%" PRIu64, x->time);
	view_open(w, n, x->slot, instant);
}

/*
 * The instant is wherever it falls among the writes in flight; from then on it is
 * as firm as any other.
 */
static void watch_probe(struct world *w, struct watched *x, unsigned int n)
{
	char reply[64], instant[24];

	x->slot = any_volume(w);
	x->before = atomic_fetch_add(&w->ticket, 1);
	dm_say("pool", reply, sizeof(reply), "time");
	x->after = atomic_fetch_add(&w->ticket, 1);
	x->time = strtoull(reply, NULL, 10);
	sprintf(instant, "%" PRIu64, x->time);
	view_open(w, n, x->slot, instant);
	x->image = image_new(w->volume[x->slot].sectors);
	view_read(w, n, x->slot, x->image);
}

static void watched_compare(struct world *w, const struct watched *x, unsigned int n)
{
	u32 *got = image_new(w->volume[x->slot].sectors);
	char why[WHY_SIZE];

	view_read(w, n, x->slot, got);
	TEST_ASSERT(image_same(x->image, got, w->volume[x->slot].sectors, why),
		    "the view of volume %u at %" PRIu64 " changed: %s", x->slot, x->time, why);
	free(got);
	nr_views++;
}

static void probe_check(struct world *w, const struct burst *b, const struct watched *x)
{
	struct expect e = { .slot = x->slot, .base = b->base[x->slot], .first = b->first,
			    .last = b->last, .must = x->before, .limit = x->after,
			    .instant = true };
	char why[WHY_SIZE];

	TEST_ASSERT(expect_matches(w, &e, x->image, why),
		    "volume %u at %" PRIu64 ", amid writes (tickets %" PRIu64 "..%" PRIu64 "): %s",
		    x->slot, x->time, x->before, x->after, why);
}

/* Writes from several threads, and views that must not notice. */
static void burst_with_views(struct world *w, unsigned int nr_threads)
{
	struct watched x[NR_WATCHED + NR_PROBES] = { 0 };
	unsigned int i, n = 0;
	struct burst b;

	for (i = 0; i < NR_WATCHED; i++)
		watch_sample(w, &x[i], i);
	burst_start(w, &b, nr_threads, BURST_OPS);
	for (i = 0; i < NR_PROBES; i++)
		watch_probe(w, &x[NR_WATCHED + i], NR_WATCHED + i);
	do {
		watched_compare(w, &x[n % ARRAY_SIZE(x)], n % ARRAY_SIZE(x));
		n++;
	} while (b.running);
	burst_finish(w, &b);
	for (i = 0; i < ARRAY_SIZE(x); i++) {
		watched_compare(w, &x[i], i);
		if (i >= NR_WATCHED)
			probe_check(w, &b, &x[i]);
		view_close(i);
		free(x[i].image);
	}
	burst_free(&b);
}

static void random_revert(struct world *w)
{
	unsigned int slot = any_volume(w);
	struct sample *s = world_random_sample(w, slot);

	if (!s)
		return;
	world_revert(w, slot, s);
	world_check_live(w);
	nr_reverts++;
}

static void random_unmark(struct world *w)
{
	unsigned int slot = any_volume(w);
	struct sample *s = world_random_sample(w, slot);

	if (s && s->mark[0])
		world_unmark(w, s);
}

static void reopen(struct world *w)
{
	world_close(w);
	world_open(w);
	world_check_live(w);
	nr_reopens++;
}

static void swap_last_volume(struct world *w)
{
	unsigned int slot = MAX_VOLUMES - 1;

	if (w->volume[slot].exists)
		world_delete_volume(w, slot);
	else
		world_create_volume(w, slot, 2048);
}

static void random_control(struct world *w)
{
	switch (rng_below(&w->rng, 10)) {
	case 0:
	case 1:
	case 2:
		world_mark(w);
		nr_marks++;
		break;
	case 3:
		random_unmark(w);
		break;
	case 4:
	case 5:
	case 6:
		random_revert(w);
		break;
	case 7:
		dm_say("pool", NULL, 0, "checkpoint");
		break;
	case 8:
		swap_last_volume(w);
		break;
	case 9:
		reopen(w);
	}
}

static void check_lists(struct world *w)
{
	char why[WHY_SIZE];

	TEST_ASSERT(world_lists_match(w, why), "%s", why);
}

static void history_rounds(struct world *w, u64 nr_ops, unsigned int nr_threads)
{
	unsigned int i;

	while (w->next_op < nr_ops) {
		burst_with_views(w, nr_threads);
		world_sample(w);
		for (i = rng_below(&w->rng, 3); i; i--)
			random_control(w);
		check_random_views(w, 2);
		check_lists(w);
	}
}

static void check_every_sample(struct world *w)
{
	unsigned int i, slot;

	for (i = 0; i < w->nr_samples; i++) {
		slot = rng_below(&w->rng, MAX_VOLUMES);
		if (!sample_has(w, &w->sample[i], slot))
			continue;
		world_check_view(w, 0, slot, &w->sample[i]);
		nr_views++;
	}
}

static void create_volumes(struct world *w)
{
	unsigned int slot;

	for (slot = 0; slot < ARRAY_SIZE(volume_sectors); slot++)
		world_create_volume(w, slot, volume_sectors[slot]);
}

static void pool_model(struct world *w, u64 nr_ops, unsigned int nr_threads)
{
	tap_plan(3);
	tap_testing("a new pool takes volumes that read as zeroes");
	world_open(w);
	create_volumes(w);
	world_check_live(w);
	tap_ok("a new pool takes volumes that read as zeroes");

	tap_testing("live volumes, views and lists are what the model says");
	history_rounds(w, nr_ops, nr_threads);
	tap_ok("live volumes, views and lists are what the model says");

	tap_testing("after all that and a reopen every sampled instant is still there");
	reopen(w);
	check_every_sample(w);
	check_lists(w);
	world_close(w);
	tap_ok("after all that and a reopen every sampled instant is still there");
	tap_note("%u operations, %" PRIu64 " views compared, %" PRIu64 " marks, %" PRIu64
		 " reverts, %" PRIu64 " reopens, %u instants", w->next_op - 1, nr_views, nr_marks,
		 nr_reverts, nr_reopens, w->nr_samples);
}

static void plain_rounds(struct world *w, u64 nr_ops, unsigned int nr_threads)
{
	struct burst b;

	while (w->next_op < nr_ops) {
		burst_start(w, &b, nr_threads, BURST_OPS);
		burst_finish(w, &b);
		burst_free(&b);
		world_check_live(w);
	}
}

/* The model must see what is wrong: a lost, a stale, a misplaced and a torn sector. */
static void model_sees(struct world *w)
{
	struct volume *v = &w->volume[0];
	u32 *wrong = image_copy(v->now, v->sectors);
	struct expect e = { .base = v->now, .first = 1, .last = 1, .limit = FOREVER };
	struct op *op = &w->op[w->next_op];
	char why[WHY_SIZE];

	wrong[5] = v->now[5] + 1;
	TEST_ASSERT(!image_same(v->now, wrong, v->sectors, why), "a foreign write passes");
	TEST_ASSERT(!expect_matches(w, &e, wrong, why), "a write from nowhere passes");
	*op = (struct op){ .sector = 5, .nr = 2, .issue = 1000, .done = 1001 };
	e.first = w->next_op;
	e.last = e.first + 1;
	e.must = FOREVER;
	TEST_ASSERT(!expect_matches(w, &e, v->now, why), "a lost write passes");
	e.must = 1001;
	TEST_ASSERT(expect_matches(w, &e, v->now, why), "a write in flight must show: %s", why);
	memcpy(wrong, v->now, v->sectors * sizeof(*wrong));
	wrong[5] = e.first;
	TEST_ASSERT(expect_matches(w, &e, wrong, why), "a half-lost write fails: %s", why);
	e.instant = true;
	TEST_ASSERT(!expect_matches(w, &e, wrong, why), "half a write at an instant passes");
	e.limit = 999;
	TEST_ASSERT(!expect_matches(w, &e, wrong, why), "a write from the future passes");
	free(wrong);
}

static void plain_model(struct world *w, u64 nr_ops, unsigned int nr_threads)
{
	tap_plan(2);
	tap_testing("a plain device does what the model says");
	create_volumes(w);
	world_check_live(w);
	plain_rounds(w, nr_ops, nr_threads);
	tap_ok("a plain device does what the model says");
	tap_testing("the model sees lost, stale, foreign and half writes");
	model_sees(w);
	tap_ok("the model sees lost, stale, foreign and half writes");
	world_close(w);
}

static int model_main(int argc, char **argv)
{
	u64 nr_ops = env_u64("CDP_MODEL_OPS", 3000), seed = test_seed("CDP_SEED");
	unsigned int nr_threads = env_u64("CDP_THREADS", 4);
	struct world w;

	if (argc < 3 || nr_threads > MAX_THREADS) {
		fprintf(stderr, "usage: cdp_model pool META DATA [BLOCK] | plain DEV\n");
		return 2;
	}
	world_init(&w, seed, nr_ops + 2 * BURST_OPS);
	snprintf(w.meta, sizeof(w.meta), "%s", argv[2]);
	snprintf(w.data, sizeof(w.data), "%s", argv[argc > 3 ? 3 : 2]);
	strcpy(w.options, "4 checkpoint_extents 256 checkpoint_ms 300");
	if (argc > 4)
		w.block_sectors = atoi(argv[4]);
	w.history = !strcmp(argv[1], "pool");
	w.discards = w.history;
	if (w.history)
		pool_model(&w, nr_ops, nr_threads);
	else
		plain_model(&w, nr_ops, nr_threads);
	return 0;
}

int main(int argc, char **argv)
{
	return tap_main(model_main, dm_clean_up, argc, argv);
}
