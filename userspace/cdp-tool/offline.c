// SPDX-License-Identifier: GPL-2.0-only
#include "offline.h"

#include <asm/byteorder.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "node.h"
#include "pdata.h"
#include "progress.h"
#include "tool.h"

#define UNUSED __attribute__((unused))

enum { MAX_FINDINGS_KEPT = 1000 };

void offline_finding(struct offline *o, const char *where, const char *format, ...)
{
	json_object *finding;
	va_list args;
	char *text;
	int len;

	if (++o->nr_findings > MAX_FINDINGS_KEPT)
		return;
	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	if (len < 0)
		return;
	print("damage: %s: %s\n", where, text);
	finding = json_object_new_object();
	json_add_text(finding, "where", where);
	json_add_text(finding, "what", text);
	json_object_array_add(o->findings, finding);
	free(text);
}

void offline_add_findings(const struct offline *o)
{
	document_add("nr_findings", json_object_new_uint64(o->nr_findings));
	document_add("findings", json_object_get(o->findings));
}

static void walk_damage(void *context, const char *where, u64 block, const char *why)
{
	offline_finding(context, where, "metadata block %llu: %s", block, why);
}

static void walk_progress(UNUSED void *context, u64 nr_visited)
{
	progress_to(nr_visited);
}

/* Of the blocks that are in use; a map that cannot be read says nothing. */
static void begin_progress(const struct offline *o)
{
	struct cdp_sm_root root;

	if (cdp_sm_root_open(&root, o->walk.super.metadata_space_map_root, o->walk.nr_blocks))
		root.nr_allocated = o->walk.nr_blocks;
	progress_begin("reading metadata", root.nr_allocated + 1);
}

/*
 * Opening
 */
static int open_image(struct cdp_image *image, const char *path)
{
	int r = cdp_image_open(image, path);

	if (r == -EBUSY)
		return fail(EXIT_BUSY,
			    "%s is in use; close the pool first, or look at a copy",
			    path);
	if (r == -ENOTBLK)
		return fail(EXIT_FAILED, "%s is neither a block device nor a file", path);
	return r ? fail_errno(r, "%s", path) : 0;
}

/* The words about a superblock begin with its name, and so do its findings. */
static void super_finding(struct offline *o, const char *wrong)
{
	static const char prefix[] = "superblock: ";

	if (!strncmp(wrong, prefix, strlen(prefix)))
		wrong += strlen(prefix);
	offline_finding(o, "superblock", "%s: %s", o->metadata_path, wrong);
}

/* The bitmap of so many data blocks would not fit the metadata device: go on with what does. */
static void bound_data_blocks(struct offline *o)
{
	u64 max = o->walk.nr_blocks * CDP_ARRAY_WORDS * 64;

	if (o->walk.super.nr_data_blocks <= max)
		return;
	offline_finding(o, "superblock",
			"counts %llu data blocks, the metadata device has no room to map more than %llu",
			o->walk.super.nr_data_blocks, max);
	o->walk.super.nr_data_blocks = max;
}

static int open_metadata(struct offline *o)
{
	const char *wrong;
	int r;

	r = open_image(&o->metadata, o->metadata_path);
	if (r)
		return r;
	if (!o->metadata.nr_units) {
		offline_finding(o, "superblock", "%s is %llu bytes, not the metadata of a pool",
				o->metadata_path, o->metadata.bytes);
		return 0;
	}
	o->walk.damage = walk_damage;
	o->walk.progress = walk_progress;
	o->walk.context = o;
	r = cdp_walk_open(&o->walk, &o->metadata, &wrong);
	if (r == -ENOMEM)
		return fail_errno(r, "%s", o->metadata_path);
	if (r) {
		super_finding(o, wrong ? wrong : "cannot be read");
		return 0;
	}
	o->has_super = true;
	begin_progress(o);
	bound_data_blocks(o);
	return 0;
}

static void check_label(struct offline *o)
{
	u8 block[CDP_UNIT_SIZE] __attribute__((aligned(8)));
	const struct cdp_super *super = &o->walk.super;
	const char *wrong = "cannot be read";
	u64 units = (super->data_start + super->nr_data_blocks * super->block_sectors) / 8;

	if (!o->data.nr_units) {
		offline_finding(o, "data device", "%s is %llu bytes, not the data of a pool",
				o->data_path, o->data.bytes);
		return;
	}
	if (!cdp_image_read(&o->data, 0, 1, block))
		wrong = cdp_label_unpack(&o->label, block);
	if (!wrong)
		wrong = cdp_label_mismatch(&o->label, super);
	if (wrong) {
		offline_finding(o, "data device", "%s", wrong);
		return;
	}
	o->has_data = true;
	if (o->data.nr_units < units)
		offline_finding(o, "data device", "has %llu units of 4 KiB, the pool needs %llu",
				o->data.nr_units, units);
}

int offline_open(struct offline *o, const char *metadata, const char *data)
{
	int r;

	memset(o, 0, sizeof(*o));
	o->metadata.fd = -1;
	o->data.fd = -1;
	o->metadata_path = metadata;
	o->data_path = data;
	o->findings = json_object_new_array();
	r = open_metadata(o);
	if (r || !data)
		return r;
	r = open_image(&o->data, data);
	if (!r && o->has_super)
		check_label(o);
	return r;
}

void offline_close(struct offline *o)
{
	unsigned int i;

	progress_end();
	for (i = 0; i < o->nr_volumes; i++)
		free(o->volumes[i].branches);
	free(o->volumes);
	free(o->marks);
	names_exit(&o->volume_names);
	names_exit(&o->mark_names);
	free(o->tail);
	cdp_walk_close(&o->walk);
	cdp_image_close(&o->metadata);
	cdp_image_close(&o->data);
	json_object_put(o->findings);
}

/*
 * The catalog
 */
/* Makes room in an array for one more than nr; 0 or -ENOMEM. */
static int grow(void *array, unsigned int nr, unsigned int *max, size_t size)
{
	void **p = array, *more;

	if (nr < *max)
		return 0;
	more = reallocarray(*p, *max ? 2 * *max : 16, size);
	if (!more)
		return -ENOMEM;
	*p = more;
	*max = *max ? 2 * *max : 16;
	return 0;
}

static struct off_volume *new_volume(struct offline *o, u32 id, const char name[CDP_NAME_SIZE])
{
	struct off_volume *v;

	if (grow(&o->volumes, o->nr_volumes, &o->max_volumes, sizeof(*v)))
		return NULL;
	v = &o->volumes[o->nr_volumes++];
	memset(v, 0, sizeof(*v));
	v->id = id;
	memcpy(v->name, name, sizeof(v->name));
	return v;
}

struct off_volume *offline_volume(struct offline *o, u32 id)
{
	unsigned int lo = 0, hi = o->nr_volumes;

	while (lo < hi) {
		unsigned int mid = lo + (hi - lo) / 2;

		if (o->volumes[mid].id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < o->nr_volumes && o->volumes[lo].id == id ? &o->volumes[lo] : NULL;
}

static const char *size_wrong(const struct offline *o, u64 nr_sectors)
{
	u32 block = o->walk.super.block_sectors;

	if (!nr_sectors || nr_sectors % block || nr_sectors / block >> CDP_LBA_BITS)
		return "impossible size";
	return NULL;
}

static int visit_volume(void *context, u64 key, const void *value)
{
	struct offline *o = context;
	struct cdp_volume_disk d;
	struct off_volume *v;
	const char *wrong;
	char name[CDP_NAME_SIZE];
	bool deleted;
	int i;

	memcpy(&d, value, sizeof(d));
	memcpy(name, d.name, sizeof(name));
	deleted = le32_to_cpu(d.flags) & CDP_VOLUME_DELETED;
	wrong = size_wrong(o, le64_to_cpu(d.nr_sectors));
	if (!key || key >= o->next_volume)
		wrong = "number that was never handed out";
	else if (!cdp_name_valid(name))
		wrong = "impossible name";
	else if (!deleted && names_have(&o->volume_names, name))
		wrong = "name that another one has too";
	else if (!le32_to_cpu(d.nr_branches))
		wrong = "no branches";
	if (wrong) {
		offline_finding(o, "volumes", "volume %llu: %s", key, wrong);
		return 0;
	}
	v = new_volume(o, key, name);
	if (!v || (!deleted && names_add(&o->volume_names, name)))
		return -ENOMEM;
	v->nr_sectors = le64_to_cpu(d.nr_sectors);
	v->created = le64_to_cpu(d.created);
	v->deleted = deleted;
	v->nr_declared = le32_to_cpu(d.nr_branches);
	for (i = 0; i < CDP_NR_LEVELS; i++)
		v->newest[i] = le64_to_cpu(d.newest[i]);
	return 0;
}

static const char *branch_wrong(const struct off_volume *v, u64 start, u64 revert_to)
{
	if (!v->nr_branches)
		return revert_to || start != v->created ?
			"the first branch does not begin at the volume's creation" : NULL;
	if (start <= v->branches[v->nr_branches - 1].start)
		return "does not begin after the one before";
	if (revert_to >= start)
		return "reverts to an instant that is not before it";
	if (revert_to <= v->branches[0].start)
		return "reverts to an instant before the volume existed";
	return NULL;
}

static int add_branch(struct off_volume *v, u64 start, u64 revert_to)
{
	struct cdp_branch *more = reallocarray(v->branches, v->nr_branches + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	v->branches = more;
	more[v->nr_branches++] = (struct cdp_branch){ .start = start, .revert_to = revert_to };
	return 0;
}

static int visit_branch(void *context, u64 key, const void *value)
{
	struct offline *o = context;
	struct off_volume *v = offline_volume(o, key >> 32);
	struct cdp_branch_disk d;
	const char *wrong = NULL;
	u64 start, revert_to;
	u32 n = key;

	memcpy(&d, value, sizeof(d));
	start = le64_to_cpu(d.start);
	revert_to = le64_to_cpu(d.revert_to);
	if (!v)
		wrong = "of a volume that there is not";
	else if (n != v->nr_branches)
		wrong = "one before it is missing";
	else
		wrong = branch_wrong(v, start, revert_to);
	if (!wrong && start > o->walk.super.time)
		wrong = "begins after the pool's time";
	if (!wrong)
		return add_branch(v, start, revert_to);
	offline_finding(o, "branches", "branch %u of volume %llu: %s", n, key >> 32, wrong);
	return 0;
}

static int add_mark(struct offline *o, const struct off_mark *mark)
{
	if (grow(&o->marks, o->nr_marks, &o->max_marks, sizeof(*mark)) ||
	    names_add(&o->mark_names, mark->name))
		return -ENOMEM;
	o->marks[o->nr_marks++] = *mark;
	return 0;
}

static int visit_mark(void *context, u64 key, const void *value)
{
	struct offline *o = context;
	struct off_mark m = { .time = key };
	const char *wrong = NULL;
	struct cdp_mark_disk d;
	unsigned int i;

	memcpy(&d, value, sizeof(d));
	memcpy(m.name, d.name, sizeof(m.name));
	m.nr_volumes = le32_to_cpu(d.nr_volumes);
	if (!cdp_name_valid(m.name))
		wrong = "impossible name";
	else if (names_have(&o->mark_names, m.name))
		wrong = "name that another one has too";
	else if (!key || key > o->walk.super.time)
		wrong = "after the pool's time";
	else if (m.nr_volumes > CDP_MARK_VOLUMES)
		wrong = "too many volumes";
	for (i = 0; i < m.nr_volumes && !wrong; i++) {
		m.volumes[i] = le32_to_cpu(d.volumes[i]);
		if (!m.volumes[i] || m.volumes[i] >= o->next_volume)
			wrong = "of a volume that never was";
	}
	if (!wrong)
		return add_mark(o, &m);
	offline_finding(o, "marks", "mark at %llu: %s", key, wrong);
	return 0;
}

static int load_catalog(struct offline *o)
{
	const struct cdp_super *s = &o->walk.super;
	unsigned int i;
	int r;

	o->next_volume = s->next_volume;
	r = cdp_walk_btree(&o->walk, "volumes", s->volumes_root, sizeof(struct cdp_volume_disk),
			   visit_volume);
	if (!r)
		r = cdp_walk_btree(&o->walk, "branches", s->branches_root,
				   sizeof(struct cdp_branch_disk), visit_branch);
	if (!r)
		r = cdp_walk_btree(&o->walk, "marks", s->marks_root, sizeof(struct cdp_mark_disk),
				   visit_mark);
	if (r)
		return r;
	for (i = 0; i < o->nr_volumes; i++)
		if (o->volumes[i].nr_branches != o->volumes[i].nr_declared)
			offline_finding(o, "branches", "volume %u has %u of %u", o->volumes[i].id,
					o->volumes[i].nr_branches, o->volumes[i].nr_declared);
	o->nr_saved_marks = o->nr_marks;
	return 0;
}

/*
 * The journal's records, applied as the module does.  A record that does not fit is a
 * finding: the module would not open the pool.
 */
static const char *apply_create(struct offline *o, const struct cdp_record *r)
{
	struct off_volume *v;

	if (!r->volume || r->volume < o->next_volume || r->volume >> CDP_VOLUME_BITS)
		return "number is taken";
	if (names_have(&o->volume_names, r->name))
		return "name is taken";
	if (size_wrong(o, r->nr_sectors))
		return size_wrong(o, r->nr_sectors);
	v = new_volume(o, r->volume, r->name);
	if (!v || names_add(&o->volume_names, v->name))
		return "out of memory";
	v->nr_sectors = r->nr_sectors;
	v->created = r->time;
	v->nr_declared = 1;
	o->next_volume = r->volume + 1;
	return add_branch(v, r->time, 0) ? "out of memory" : NULL;
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
	wrong = branch_wrong(v, r->time, r->revert_to);
	if (wrong)
		return wrong;
	v->nr_declared++;
	return add_branch(v, r->time, r->revert_to) ? "out of memory" : NULL;
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
	return add_mark(o, &m) ? "out of memory" : NULL;
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

static int load_journal(struct offline *o)
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

int offline_load(struct offline *o)
{
	int r;

	if (!o->has_super)
		return 0;
	r = load_catalog(o);
	if (!r)
		r = load_journal(o);
	return r ? fail_errno(r, "%s", o->metadata_path) : 0;
}
