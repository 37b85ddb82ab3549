// SPDX-License-Identifier: GPL-2.0-only
#include "catalog.h"

#include <linux/err.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <asm/byteorder.h>

void cdp_catalog_init(struct cdp_catalog *catalog, struct rw_semaphore *index_lock)
{
	memset(catalog, 0, sizeof(*catalog));
	mutex_init(&catalog->mutex);
	INIT_LIST_HEAD(&catalog->volumes);
	INIT_LIST_HEAD(&catalog->deleted);
	INIT_LIST_HEAD(&catalog->marks);
	INIT_LIST_HEAD(&catalog->unsaved);
	catalog->marks_by_name = RB_ROOT;
	catalog->index_lock = index_lock;
	catalog->next_volume = 1;
}

void cdp_volume_free(struct cdp_volume *volume)
{
	kvfree(volume->branches);
	kvfree(volume->lineage);
	kfree(volume);
}

static void free_volumes(struct list_head *volumes)
{
	struct cdp_volume *volume, *next;

	list_for_each_entry_safe(volume, next, volumes, list)
		cdp_volume_free(volume);
}

void cdp_catalog_exit(struct cdp_catalog *catalog)
{
	struct cdp_change *change, *next_change;
	struct cdp_mark *mark, *next_mark;

	list_for_each_entry_safe(change, next_change, &catalog->unsaved, list)
		kfree(change);
	list_for_each_entry_safe(mark, next_mark, &catalog->marks, list)
		kfree(mark);
	free_volumes(&catalog->volumes);
	free_volumes(&catalog->deleted);
	mutex_destroy(&catalog->mutex);
}

struct cdp_volume *cdp_catalog_volume(struct cdp_catalog *catalog, const char *name)
{
	struct cdp_volume *volume;

	list_for_each_entry(volume, &catalog->volumes, list)
		if (!strcmp(volume->name, name))
			return volume;
	return NULL;
}

static struct cdp_volume *find_by_id(struct list_head *volumes, u32 id)
{
	struct cdp_volume *volume;

	list_for_each_entry(volume, volumes, list)
		if (volume->id == id)
			return volume;
	return NULL;
}

struct cdp_volume *cdp_catalog_volume_by_id(struct cdp_catalog *catalog, u32 id)
{
	return find_by_id(&catalog->volumes, id);
}

struct cdp_mark *cdp_catalog_mark(struct cdp_catalog *catalog, const char *name)
{
	struct rb_node *node = catalog->marks_by_name.rb_node;

	while (node) {
		struct cdp_mark *mark = rb_entry(node, struct cdp_mark, node);
		int order = strcmp(name, mark->name);

		if (!order)
			return mark;
		node = order < 0 ? node->rb_left : node->rb_right;
	}
	return NULL;
}

static struct cdp_mark *mark_by_time(struct cdp_catalog *catalog, u64 time)
{
	struct cdp_mark *mark;

	list_for_each_entry_reverse(mark, &catalog->marks, list)
		if (mark->time <= time)
			return mark->time == time ? mark : NULL;
	return NULL;
}

bool cdp_mark_covers(const struct cdp_mark *mark, const struct cdp_volume *volume)
{
	unsigned int i;

	if (!mark->nr_volumes)
		return volume->created < mark->time;
	for (i = 0; i < mark->nr_volumes; i++)
		if (mark->volumes[i] == volume->id)
			return true;
	return false;
}

static void insert_mark(struct cdp_catalog *catalog, struct cdp_mark *mark)
{
	struct rb_node **link = &catalog->marks_by_name.rb_node, *parent = NULL;

	while (*link) {
		struct cdp_mark *m = rb_entry(*link, struct cdp_mark, node);

		parent = *link;
		link = strcmp(mark->name, m->name) < 0 ? &parent->rb_left : &parent->rb_right;
	}
	rb_link_node(&mark->node, parent, link);
	rb_insert_color(&mark->node, &catalog->marks_by_name);
	list_add_tail(&mark->list, &catalog->marks);
	catalog->nr_marks++;
}

static struct cdp_lineage *lineage_alloc(unsigned int nr_branches)
{
	struct cdp_lineage *lineage;

	lineage = kvzalloc(struct_size(lineage, intervals, nr_branches), GFP_KERNEL);
	return lineage ?: ERR_PTR(-ENOMEM);
}

struct cdp_lineage *cdp_volume_lineage(const struct cdp_volume *volume, u64 instant)
{
	struct cdp_lineage *lineage = lineage_alloc(volume->nr_branches);
	int r;

	if (IS_ERR(lineage))
		return lineage;
	r = cdp_lineage_fill(lineage, volume->branches, volume->nr_branches, instant);
	if (r) {
		kvfree(lineage);
		return ERR_PTR(r);
	}
	return lineage;
}

/*
 * Preparing, one function a kind
 */
static int alloc_branches(struct cdp_change *change, const struct cdp_volume *old,
			  struct cdp_branch last)
{
	unsigned int nr = (old ? old->nr_branches : 0) + 1;

	change->branches = kvmalloc_array(nr, sizeof(last), GFP_KERNEL);
	if (!change->branches)
		return -ENOMEM;
	if (old)
		memcpy(change->branches, old->branches, (nr - 1) * sizeof(last));
	change->branches[nr - 1] = last;

	change->lineage = lineage_alloc(nr);
	if (IS_ERR(change->lineage)) {
		change->lineage = NULL;
		return -ENOMEM;
	}
	return cdp_lineage_fill(change->lineage, change->branches, nr, CDP_TIME_NOW);
}

static int prepare_create(struct cdp_catalog *catalog, struct cdp_change *change)
{
	const struct cdp_record *r = &change->record;
	struct cdp_volume *volume;

	if (cdp_catalog_volume(catalog, r->name))
		return -EEXIST;
	if (r->volume != catalog->next_volume)
		return -EINVAL;
	/* The superblock has to hold the number after it. */
	if (!r->volume || r->volume >= (1 << CDP_VOLUME_BITS) - 1)
		return -ENOSPC;
	if (!r->nr_sectors || r->nr_sectors % catalog->block_sectors ||
	    (r->nr_sectors / catalog->block_sectors) >> CDP_LBA_BITS)
		return -EINVAL;

	volume = kzalloc(sizeof(*volume), GFP_KERNEL);
	if (!volume)
		return -ENOMEM;
	change->volume = volume;
	volume->id = r->volume;
	memcpy(volume->name, r->name, sizeof(volume->name));
	volume->nr_sectors = r->nr_sectors;
	volume->created = r->time;
	return alloc_branches(change, NULL, (struct cdp_branch){ .start = r->time });
}

static int prepare_delete(struct cdp_catalog *catalog, struct cdp_change *change)
{
	struct cdp_volume *volume = cdp_catalog_volume_by_id(catalog, change->record.volume);

	if (!volume)
		return -ENOENT;
	if (volume->nr_targets)
		return -EBUSY;
	change->volume = volume;
	return 0;
}

static int prepare_revert(struct cdp_catalog *catalog, struct cdp_change *change)
{
	const struct cdp_record *r = &change->record;
	struct cdp_volume *volume = cdp_catalog_volume_by_id(catalog, r->volume);

	if (!volume)
		return -ENOENT;
	if (cdp_branch_find(volume->branches, volume->nr_branches, r->revert_to) < 0)
		return -ENOENT;
	if (r->time <= volume->branches[volume->nr_branches - 1].start ||
	    r->revert_to >= r->time)
		return -EINVAL;
	change->volume = volume;
	return alloc_branches(change, volume, (struct cdp_branch){
			      .start = r->time, .revert_to = r->revert_to });
}

static struct cdp_mark *mark_alloc(const char *name, u64 time, unsigned int nr_volumes)
{
	struct cdp_mark *mark = kzalloc(struct_size(mark, volumes, nr_volumes), GFP_KERNEL);

	if (!mark)
		return NULL;
	memcpy(mark->name, name, sizeof(mark->name));
	mark->time = time;
	mark->nr_volumes = nr_volumes;
	return mark;
}

static int prepare_mark(struct cdp_catalog *catalog, struct cdp_change *change)
{
	const struct cdp_record *r = &change->record;
	unsigned int i;

	if (cdp_catalog_mark(catalog, r->name))
		return -EEXIST;
	if (!list_empty(&catalog->marks) &&
	    list_last_entry(&catalog->marks, struct cdp_mark, list)->time >= r->time)
		return -EINVAL;
	for (i = 0; i < r->nr_volumes; i++)
		if (!cdp_catalog_volume_by_id(catalog, r->volumes[i]))
			return -ENOENT;

	change->mark = mark_alloc(r->name, r->time, r->nr_volumes);
	if (!change->mark)
		return -ENOMEM;
	memcpy(change->mark->volumes, r->volumes, r->nr_volumes * sizeof(u32));
	return 0;
}

static int prepare_unmark(struct cdp_catalog *catalog, struct cdp_change *change)
{
	change->mark = mark_by_time(catalog, change->record.time);
	return change->mark ? 0 : -ENOENT;
}

static int prepare(struct cdp_catalog *catalog, struct cdp_change *change)
{
	switch (change->record.type) {
	case CDP_REC_CREATE:
		return prepare_create(catalog, change);
	case CDP_REC_DELETE:
		return prepare_delete(catalog, change);
	case CDP_REC_REVERT:
		return prepare_revert(catalog, change);
	case CDP_REC_MARK:
		return prepare_mark(catalog, change);
	case CDP_REC_UNMARK:
		return prepare_unmark(catalog, change);
	}
	return -EINVAL;
}

struct cdp_change *cdp_change_prepare(struct cdp_catalog *catalog,
				      const struct cdp_record *record)
{
	struct cdp_change *change = kzalloc(sizeof(*change), GFP_KERNEL);
	int r;

	if (!change)
		return ERR_PTR(-ENOMEM);
	change->record = *record;
	r = prepare(catalog, change);
	if (r) {
		cdp_change_cancel(change);
		return ERR_PTR(r);
	}
	return change;
}

/* Frees what preparing allocated; of volume and mark only the new ones. */
void cdp_change_cancel(struct cdp_change *change)
{
	if (change->record.type == CDP_REC_CREATE)
		kfree(change->volume);
	if (change->record.type == CDP_REC_MARK)
		kfree(change->mark);
	kvfree(change->branches);
	kvfree(change->lineage);
	kfree(change);
}

/*
 * Applying
 */
static void apply_branches(struct cdp_catalog *catalog, struct cdp_change *change)
{
	struct cdp_volume *volume = change->volume;

	down_write(catalog->index_lock);
	swap(volume->branches, change->branches);
	swap(volume->lineage, change->lineage);
	volume->nr_branches++;
	up_write(catalog->index_lock);
	kvfree(change->branches);
	kvfree(change->lineage);
}

static void apply_create(struct cdp_catalog *catalog, struct cdp_change *change)
{
	apply_branches(catalog, change);
	list_add_tail(&change->volume->list, &catalog->volumes);
	catalog->nr_volumes++;
	catalog->next_volume = change->volume->id + 1;
}

static void apply_delete(struct cdp_catalog *catalog, struct cdp_change *change)
{
	list_move_tail(&change->volume->list, &catalog->deleted);
	catalog->nr_volumes--;
}

static void apply_unmark(struct cdp_catalog *catalog, struct cdp_change *change)
{
	rb_erase(&change->mark->node, &catalog->marks_by_name);
	list_del(&change->mark->list);
	catalog->nr_marks--;
	kfree(change->mark);
}

void cdp_change_apply(struct cdp_catalog *catalog, struct cdp_change *change)
{
	switch (change->record.type) {
	case CDP_REC_CREATE:
		apply_create(catalog, change);
		break;
	case CDP_REC_DELETE:
		apply_delete(catalog, change);
		break;
	case CDP_REC_REVERT:
		apply_branches(catalog, change);
		break;
	case CDP_REC_MARK:
		insert_mark(catalog, change->mark);
		break;
	case CDP_REC_UNMARK:
		apply_unmark(catalog, change);
		break;
	}
	list_add_tail(&change->list, &catalog->unsaved);
	catalog->nr_unsaved++;
}

/*
 * Loading.  The metadata device is not trusted: what does not fit is -EILSEQ.
 */
int cdp_catalog_load_volume(struct cdp_catalog *catalog, u32 id,
			    const struct cdp_volume_disk *disk)
{
	struct cdp_volume *volume;
	unsigned int i, nr = le32_to_cpu(disk->nr_branches);
	bool deleted = le32_to_cpu(disk->flags) & CDP_VOLUME_DELETED;

	if (!id || id >= catalog->next_volume || !cdp_name_valid(disk->name) || !nr ||
	    nr > catalog->max_branches || le64_to_cpu(disk->created) > catalog->time ||
	    (!deleted && cdp_catalog_volume(catalog, disk->name)))
		return -EILSEQ;
	volume = kzalloc(sizeof(*volume), GFP_KERNEL);
	if (!volume)
		return -ENOMEM;
	list_add_tail(&volume->list, deleted ? &catalog->deleted : &catalog->volumes);
	if (!deleted)
		catalog->nr_volumes++;

	volume->id = id;
	memcpy(volume->name, disk->name, sizeof(volume->name));
	volume->nr_sectors = le64_to_cpu(disk->nr_sectors);
	volume->created = le64_to_cpu(disk->created);
	for (i = 0; i < CDP_NR_LEVELS; i++)
		volume->newest[i] = le64_to_cpu(disk->newest[i]);
	if (!volume->nr_sectors || volume->nr_sectors % catalog->block_sectors ||
	    (volume->nr_sectors / catalog->block_sectors) >> CDP_LBA_BITS)
		return -EILSEQ;

	volume->nr_saved_branches = nr;
	catalog->max_branches -= nr;
	volume->branches = kvcalloc(nr, sizeof(*volume->branches), GFP_KERNEL);
	return volume->branches ? 0 : -ENOMEM;
}

int cdp_catalog_load_branch(struct cdp_catalog *catalog, u64 key,
			    const struct cdp_branch_disk *disk)
{
	struct cdp_volume *volume = cdp_catalog_volume_by_id(catalog, key >> 32);
	u32 n = key;

	if (!volume)
		volume = find_by_id(&catalog->deleted, key >> 32);
	if (!volume || n != volume->nr_branches || n >= volume->nr_saved_branches)
		return -EILSEQ;

	volume->branches[n].start = le64_to_cpu(disk->start);
	volume->branches[n].revert_to = le64_to_cpu(disk->revert_to);
	if (volume->branches[n].start > catalog->time ||
	    (!n && volume->branches[n].start != volume->created))
		return -EILSEQ;
	if (n && (volume->branches[n].start <= volume->branches[n - 1].start ||
		  volume->branches[n].revert_to >= volume->branches[n].start ||
		  volume->branches[n].revert_to <= volume->branches[0].start))
		return -EILSEQ;
	volume->nr_branches++;
	return 0;
}

int cdp_catalog_load_mark(struct cdp_catalog *catalog, u64 time,
			  const struct cdp_mark_disk *disk)
{
	unsigned int i, nr = le32_to_cpu(disk->nr_volumes);
	struct cdp_mark *mark;

	if (!cdp_name_valid(disk->name) || nr > CDP_MARK_VOLUMES || time > catalog->time ||
	    cdp_catalog_mark(catalog, disk->name))
		return -EILSEQ;
	mark = mark_alloc(disk->name, time, nr);
	if (!mark)
		return -ENOMEM;
	for (i = 0; i < nr; i++)
		mark->volumes[i] = le32_to_cpu(disk->volumes[i]);
	insert_mark(catalog, mark);
	return 0;
}

int cdp_catalog_loaded(struct cdp_catalog *catalog)
{
	struct cdp_volume *volume;

	list_for_each_entry(volume, &catalog->volumes, list) {
		struct cdp_lineage *lineage;

		if (volume->nr_branches != volume->nr_saved_branches)
			return -EILSEQ;
		lineage = cdp_volume_lineage(volume, CDP_TIME_NOW);
		if (IS_ERR(lineage))
			return PTR_ERR(lineage);
		volume->lineage = lineage;
	}
	return 0;
}
