// SPDX-License-Identifier: GPL-2.0-only
#include "off_catalog.h"

#include <asm/byteorder.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"

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

struct off_volume *off_volume_new(struct offline *o, u32 id, const char name[CDP_NAME_SIZE])
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

const char *off_size_wrong(const struct offline *o, u64 nr_sectors)
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
	wrong = off_size_wrong(o, le64_to_cpu(d.nr_sectors));
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
	v = off_volume_new(o, key, name);
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

const char *off_branch_wrong(const struct off_volume *v, u64 start, u64 revert_to)
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

int off_branch_add(struct off_volume *v, u64 start, u64 revert_to)
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
		wrong = off_branch_wrong(v, start, revert_to);
	if (!wrong && start > o->walk.super.time)
		wrong = "begins after the pool's time";
	if (!wrong)
		return off_branch_add(v, start, revert_to);
	offline_finding(o, "branches", "branch %u of volume %llu: %s", n, key >> 32, wrong);
	return 0;
}

int off_mark_add(struct offline *o, const struct off_mark *mark)
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
		return off_mark_add(o, &m);
	offline_finding(o, "marks", "mark at %llu: %s", key, wrong);
	return 0;
}

int off_catalog_load(struct offline *o)
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
