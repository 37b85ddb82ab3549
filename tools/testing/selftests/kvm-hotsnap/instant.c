// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "instant.h"

#include <stdio.h>
#include <stdlib.h>

#define NEVER	UINT64_MAX	/* a ticket after all others */

/* One writer's log, against the image. */
struct walk {
	struct writer *writer;
	u8 *image;		/* as it would be */
	const u8 *seen;		/* as it is */
	u64 size, seen_size;
	u64 wrong;		/* bytes that differ */
};

/* What certainly shows, and what certainly does not. */
struct cut {
	bool found;
	u64 shown;		/* the last operation of which the first cut has something */
	u64 missing;		/* the first of which the last cut lacks something */
};

void instant_before(struct world *w, struct instant *t)
{
	unsigned int i;

	for (i = 0; i < w->nr_writers; i++)
		t->before[i] = w->writer[i].done;
}

void instant_after(struct world *w, struct instant *t)
{
	unsigned int i;

	for (i = 0; i < w->nr_writers; i++)
		t->after[i] = w->writer[i].issued;
}

void judge_init(struct judge *j, struct world *w)
{
	memset(j, 0, sizeof(*j));
	j->world = w;
	j->size = w->pages * PAGE;
	j->image = calloc(w->pages, PAGE);
	j->scratch = calloc(w->pages, PAGE);
	TEST_ASSERT(j->image && j->scratch, "no memory");
}

static u64 size_after(const struct op *op, u64 size)
{
	switch (op->kind) {
	case OP_CUT:
		return op->start;
	case OP_GROW:
		return op->start + op->len;
	default:
		return size;
	}
}

/* Brings the known image to what was there before the freeze. */
static void advance(struct judge *j, struct writer *w, u64 to)
{
	static u8 buffer[MAX_OP_SIZE];
	u64 *at = &j->at[w->nr];

	while (*at < to) {
		const struct op *op = writer_op(w, ++*at);

		memcpy(j->image + op->start, op_data(w, *at, buffer), op->len);
		j->size = size_after(op, j->size);
	}
	w->judged = to;
}

/*
 * Counting what differs.
 */
static u64 differing(const u8 *a, const u8 *b, u64 len)
{
	u64 i, nr = 0;

	if (!memcmp(a, b, len))
		return 0;
	for (i = 0; i < len; i++)
		nr += a[i] != b[i];
	return nr;
}

static void count_all(struct walk *k)
{
	u64 slot = k->writer->nr * SLOT_SIZE, page;

	k->wrong = differing(k->image + k->writer->own, k->seen + k->writer->own,
			     OWN_PAGES * PAGE);
	for (page = 0; page < SHARED_PAGES; page++)
		k->wrong += differing(k->image + page * PAGE + slot,
				      k->seen + page * PAGE + slot, SLOT_SIZE);
	/* Writer 0 alone changes the size. */
	if (!k->writer->nr)
		k->wrong += k->size != k->seen_size;
}

static void walk_bytes(struct walk *k, u64 start, const u8 *data, u32 len)
{
	u8 *now = k->image + start;
	const u8 *seen = k->seen + start;

	k->wrong -= differing(now, seen, len);
	memcpy(now, data, len);
	k->wrong += differing(now, seen, len);
}

static void walk_size(struct walk *k, const struct op *op)
{
	if (op->kind != OP_CUT && op->kind != OP_GROW)
		return;
	k->wrong -= k->size != k->seen_size;
	k->size = size_after(op, k->size);
	k->wrong += k->size != k->seen_size;
}

/* Here it may have been cut: `shown` shows, of `missing` something does not. */
static void note_cut(const struct walk *k, struct cut *cut, u64 shown, u64 missing)
{
	if (k->wrong)
		return;
	if (!cut->found)
		cut->shown = shown;
	cut->found = true;
	cut->missing = missing;
}

static void walk_op(struct walk *k, struct cut *cut, u64 number)
{
	static u8 buffer[MAX_OP_SIZE];
	const struct op *op = writer_op(k->writer, number);
	const u8 *data = op_data(k->writer, number, buffer);
	u32 step, i;

	for (i = 0; i < op->len; i += step) {
		step = op_step(op, i);
		walk_bytes(k, op->start + i, data + i, step);
		walk_size(k, op);
		note_cut(k, cut, number, number + (i + step >= op->len));
	}
}

static struct cut find_cut(struct walk *k, u64 before, u64 after, u64 *fewest)
{
	struct cut cut = { .found = false };
	u64 number;

	count_all(k);
	*fewest = k->wrong;
	note_cut(k, &cut, before, before + 1);
	for (number = before + 1; number <= after; number++) {
		walk_op(k, &cut, number);
		if (k->wrong < *fewest)
			*fewest = k->wrong;
	}
	return cut;
}

static u64 op_issue(struct writer *w, u64 number)
{
	return number ? writer_op(w, number)->issue : 0;
}

/* An operation that is not over yet was over before nothing. */
static u64 op_done(struct writer *w, u64 number, u64 after)
{
	return (number <= after ? writer_op(w, number)->done : 0) ?: NEVER;
}

/* Is there an effect without its cause? */
static bool causes_show(struct world *w, const struct instant *t, const struct cut *cut, char *why)
{
	u64 latest = 0, earliest = NEVER;
	unsigned int i, effect = 0, cause = 0;

	for (i = 0; i < w->nr_writers; i++) {
		u64 issue = op_issue(&w->writer[i], cut[i].shown);
		u64 done = op_done(&w->writer[i], cut[i].missing, t->after[i]);

		if (issue > latest) {
			latest = issue;
			effect = i;
		}
		if (done < earliest) {
			earliest = done;
			cause = i;
		}
	}
	if (latest < earliest)
		return true;
	snprintf(why, WHY_SIZE, "operation %llu of writer %u shows, %llu of writer %u does not, "
		 "and was over before", (unsigned long long)cut[effect].shown, effect,
		 (unsigned long long)cut[cause].missing, cause);
	return false;
}

void judge_skip(struct judge *j, const struct instant *t)
{
	unsigned int i;

	for (i = 0; i < j->world->nr_writers; i++)
		advance(j, &j->world->writer[i], t->before[i]);
}

bool judge_accepts(struct judge *j, const struct instant *t, const u8 *image, u64 size, char *why)
{
	struct world *w = j->world;
	struct cut cut[MAX_WRITERS];
	unsigned int i;
	u64 fewest;

	judge_skip(j, t);
	memcpy(j->scratch, j->image, w->pages * PAGE);
	for (i = 0; i < w->nr_writers; i++) {
		struct walk k = { &w->writer[i], j->scratch, image, j->size, size, 0 };

		cut[i] = find_cut(&k, t->before[i], t->after[i], &fewest);
		if (cut[i].found)
			continue;
		snprintf(why, WHY_SIZE, "it is nothing that writer %u had between its operations "
			 "%llu and %llu, by %llu bytes at least", i,
			 (unsigned long long)t->before[i], (unsigned long long)t->after[i],
			 (unsigned long long)fewest);
		return false;
	}
	return causes_show(w, t, cut, why);
}
