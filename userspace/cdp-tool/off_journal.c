// SPDX-License-Identifier: GPL-2.0-only
#include "off_journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "node.h"
#include "off_catalog.h"

static const char *apply_create(struct offline *o, const struct cdp_record *r)
{
	struct off_volume *v;

	if (r->volume != o->next_volume)
		return "number is not the next one";
	/* The superblock has to hold the number after it. */
	if (!r->volume || r->volume >= (1 << CDP_VOLUME_BITS) - 1)
		return "there are no numbers left";
	if (names_have(&o->volume_names, r->name))
		return "name is taken";
	if (off_size_wrong(o, r->nr_sectors))
		return off_size_wrong(o, r->nr_sectors);
	v = off_volume_new(o, r->volume, r->name);
	if (!v || names_add(&o->volume_names, v->name))
		return "out of memory";
	v->nr_sectors = r->nr_sectors;
	v->created = r->time;
	v->nr_declared = 1;
	o->next_volume = r->volume + 1;
	return off_branch_add(v, r->time, 0) ? "out of memory" : NULL;
}

static struct off_volume *live_volume(struct offline *o, u32 id)
{
	struct off_volume *v = offline_volume(o, id);

	return v && !v->deleted ? v : NULL;
}

static const char *apply_delete(struct offline *o, const struct cdp_record *r)
{
	struct off_volume *v = live_volume(o, r->volume);

	if (!v)
		return "no such volume";
	v->deleted = true;
	names_remove(&o->volume_names, v->name);
	return NULL;
}

static const char *apply_revert(struct offline *o, const struct cdp_record *r)
{
	struct off_volume *v = live_volume(o, r->volume);
	const char *wrong;

	if (!v || !v->nr_branches)
		return "no such volume";
	wrong = off_branch_wrong(v, r->time, r->revert_to);
	if (wrong)
		return wrong;
	v->nr_declared++;
	return off_branch_add(v, r->time, r->revert_to) ? "out of memory" : NULL;
}

static const char *apply_mark(struct offline *o, const struct cdp_record *r)
{
	struct off_mark m = { .time = r->time, .nr_volumes = r->nr_volumes };
	unsigned int i;

	if (names_have(&o->mark_names, r->name))
		return "name is taken";
	if (o->nr_marks && o->marks[o->nr_marks - 1].time >= r->time)
		return "not after the mark before";
	for (i = 0; i < r->nr_volumes; i++)
		if (!live_volume(o, r->volumes[i]))
			return "of a volume that there is not";
	memcpy(m.name, r->name, sizeof(m.name));
	memcpy(m.volumes, r->volumes, sizeof(m.volumes));
	return off_mark_add(o, &m) ? "out of memory" : NULL;
}

static int by_time(const void *a, const void *b)
{
	const struct off_mark *x = a, *y = b;

	return x->time < y->time ? -1 : x->time > y->time;
}

static const char *apply_unmark(struct offline *o, const struct cdp_record *r)
{
	const struct off_mark key = { .time = r->time };
	struct off_mark *mark = NULL;

	if (o->nr_marks)
		mark = bsearch(&key, o->marks, o->nr_marks, sizeof(key), by_time);
	if (!mark)
		return "no such mark";
	names_remove(&o->mark_names, mark->name);
	o->nr_marks--;
	memmove(mark, mark + 1, (o->marks + o->nr_marks - mark) * sizeof(*mark));
	return NULL;
}

static const char *add_tail(struct offline *o, const struct cdp_version *v, u64 seq)
{
	struct off_version *more;

	if (o->nr_tail == o->max_tail) {
		o->max_tail = o->max_tail ? 2 * o->max_tail : 1024;
		more = realloc(o->tail, o->max_tail * sizeof(*more));
		if (!more)
			return "out of memory";
		o->tail = more;
	}
	o->tail[o->nr_tail++] = (struct off_version){ .v = *v, .seq = seq };
	return NULL;
}

static const char *apply_write(struct offline *o, const struct cdp_record *r, u64 seq)
{
	struct cdp_version v = {
		.hi = r->hi, .time = r->time, .pblock = r->pblock,
		.flags = r->flags & CDP_TOMBSTONE,
	};
	struct off_volume *volume = live_volume(o, r->volume);
	const char *wrong;

	if (!volume)
		return "no such volume";
	wrong = cdp_version_invalid(&v, o->walk.super.nr_data_blocks);
	if (wrong)
		return wrong;
	if (cdp_hi_lba(v.hi) + cdp_hi_blocks(v.hi) >
	    volume->nr_sectors / o->walk.super.block_sectors)
		return "beyond the end of the volume";
	if (v.time <= volume->created)
		return "before the volume was created";
	return add_tail(o, &v, seq);
}

static const char *apply(struct offline *o, u64 seq, const struct cdp_record *r)
{
	switch (r->type) {
	case CDP_REC_WRITE:
		return apply_write(o, r, seq);
	case CDP_REC_CREATE:
		return apply_create(o, r);
	case CDP_REC_DELETE:
		return apply_delete(o, r);
	case CDP_REC_REVERT:
		return apply_revert(o, r);
	case CDP_REC_MARK:
		return apply_mark(o, r);
	case CDP_REC_UNMARK:
		return apply_unmark(o, r);
	}
	return "of an unknown kind";
}

static int visit_record(void *context, u64 seq, const struct cdp_record *record)
{
	static const char *const names[] = {
		[CDP_REC_WRITE] = "write", [CDP_REC_CREATE] = "create",
		[CDP_REC_DELETE] = "delete", [CDP_REC_REVERT] = "revert",
		[CDP_REC_MARK] = "mark", [CDP_REC_UNMARK] = "unmark",
	};
	struct offline *o = context;
	const char *wrong = apply(o, seq, record);

	if (wrong)
		offline_finding(o, "journal", "block %llu: %s record of volume %u at %llu: %s", seq,
				names[record->type], record->volume, record->time, wrong);
	return o->record ? o->record(o, seq, record) : 0;
}

static int by_key(const void *a, const void *b)
{
	const struct off_version *x = a, *y = b;

	return cdp_key_cmp(x->v.hi, x->v.time, y->v.hi, y->v.time);
}

struct off_version *offline_tail(struct offline *o, u64 hi, u64 time)
{
	struct off_version key = { .v = { .hi = hi, .time = time } };

	return o->nr_tail ? bsearch(&key, o->tail, o->nr_tail, sizeof(key), by_key) : NULL;
}

static void sort_tail(struct offline *o)
{
	u64 i;

	if (!o->nr_tail)
		return;
	qsort(o->tail, o->nr_tail, sizeof(*o->tail), by_key);
	for (i = 1; i < o->nr_tail; i++)
		if (!by_key(&o->tail[i - 1], &o->tail[i]))
			offline_finding(o,
					"journal",
					"blocks %llu and %llu: the same version twice",
					o->tail[i - 1].seq, o->tail[i].seq);
}

int off_journal_load(struct offline *o)
{
	int r;

	if (!o->has_data)
		return 0;
	o->ring.data = &o->data;
	o->ring.super = &o->walk.super;
	r = cdp_ring_replay(&o->ring, visit_record, o);
	if (r == -EILSEQ)
		offline_finding(o, "journal",
				"block %llu: checksum is right, but not what is in it",
				o->ring.bad_seq);
	else if (r == -EIO || r == -ENXIO)
		offline_finding(o, "journal", "block %llu, or data of it, cannot be read",
				o->ring.bad_seq);
	else if (r)
		return r;
	if (o->ring.lost_by)
		offline_finding(o, "journal",
				"block %llu is lost (%s), but block %llu says that it was durable",
				o->ring.end, o->ring.why, o->ring.lost_by);
	sort_tail(o);
	return 0;
}
