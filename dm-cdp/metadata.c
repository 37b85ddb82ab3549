// SPDX-License-Identifier: GPL-2.0-only
#include "pool.h"

#include <linux/random.h>
#include <linux/string.h>

enum {
	SUPER_LOCATION = 0,
	MAX_HELD = 8,			/* block locks per thread */
	MIN_METADATA_BLOCKS = 512,
	WORDS_PER_ARRAY_BLOCK = 500,	/* a little less than fit */
	BRANCHES_PER_BLOCK = 170,	/* no more fit, keys included */
};

static void btree_init(struct dm_btree_info *info, struct dm_transaction_manager *tm,
		       u32 value_size)
{
	memset(info, 0, sizeof(*info));
	info->tm = tm;
	info->levels = 1;
	info->value_type.size = value_size;
}

static void structures_init(struct cdp_metadata *md)
{
	struct dm_btree_value_type word = { .size = sizeof(__le64) };

	btree_init(&md->volumes, md->tm, sizeof(struct cdp_volume_disk));
	btree_init(&md->branches, md->tm, sizeof(struct cdp_branch_disk));
	btree_init(&md->marks, md->tm, sizeof(struct cdp_mark_disk));
	dm_array_info_init(&md->words, md->tm, &word);
	cdp_tree_init(&md->tree, md->tm, md->super.uuid, md->super.nr_data_blocks);
}

static u32 nr_words(const struct cdp_metadata *md)
{
	return DIV_ROUND_UP_ULL(md->super.nr_data_blocks, 64);
}

void cdp_metadata_tree_root(const struct cdp_metadata *md, struct cdp_tree_root *root)
{
	root->block = md->super.tree_root;
	root->nr_entries = md->super.tree_entries;
	root->nr_leaves = md->super.tree_leaves;
	root->depth = md->super.tree_depth;
}

void cdp_metadata_set_tree_root(struct cdp_metadata *md, const struct cdp_tree_root *root)
{
	md->super.tree_root = root->block;
	md->super.tree_entries = root->nr_entries;
	md->super.tree_leaves = root->nr_leaves;
	md->super.tree_depth = root->depth;
}

/*
 * Such a block is not in the transaction's table of shadows: if it is changed again before
 * the commit, it is copied once more.  That is the whole difference to
 * dm_tm_new_block().
 */
int cdp_tree_new_block(struct cdp_tree *tree, struct dm_block **result)
{
	struct cdp_metadata *md = container_of(tree, struct cdp_metadata, tree);
	dm_block_t block;
	int r;

	r = dm_sm_new_block(md->sm, &block);
	if (r)
		return r;
	r = dm_bm_write_lock_zero(md->bm, block, &tree->validator, result);
	if (r)
		dm_sm_dec_block(md->sm, block);
	return r;
}

/*
 * None of it is part of the tree before the superblock says so.  A node that is locked is
 * written as it is, and once more when it has been unlocked.
 */
int cdp_tree_write_out(struct cdp_tree *tree)
{
	struct cdp_metadata *md = container_of(tree, struct cdp_metadata, tree);

	return dm_bm_flush(md->bm);
}

/*
 * Opening, formatting, closing
 */
static int read_super(struct cdp_metadata *md, char **error)
{
	struct dm_block *block;
	const char *invalid;
	int r;

	r = dm_bm_read_lock(md->bm, SUPER_LOCATION, NULL, &block);
	if (r) {
		*error = "the metadata device cannot be read";
		return r;
	}
	if (!memchr_inv(dm_block_data(block), 0, CDP_UNIT_SIZE)) {
		dm_bm_unlock(block);
		return 1;
	}
	invalid = cdp_super_unpack(&md->super, dm_block_data(block));
	dm_bm_unlock(block);
	if (invalid) {
		*error = (char *)invalid;
		return -EINVAL;
	}
	return 0;
}

int cdp_metadata_open(struct cdp_metadata *md, struct block_device *bdev, char **error)
{
	int r;

	if (bdev_nr_bytes(bdev) / CDP_UNIT_SIZE < MIN_METADATA_BLOCKS) {
		*error = "the metadata device is smaller than 2 MiB";
		return -EINVAL;
	}
	md->bm = dm_block_manager_create(bdev, CDP_UNIT_SIZE, MAX_HELD);
	if (IS_ERR(md->bm)) {
		r = PTR_ERR(md->bm);
		md->bm = NULL;
		*error = "the metadata device cannot be opened";
		return r;
	}
	r = read_super(md, error);
	if (!r && bdev_nr_bytes(bdev) / CDP_UNIT_SIZE < md->super.nr_metadata_blocks) {
		*error = "the metadata device is smaller than when the pool was made";
		return -EINVAL;
	}
	return r;
}

static int make_empty(struct cdp_metadata *md)
{
	struct cdp_tree_root root;
	__le64 zero = 0;
	dm_block_t words;
	int r;

	r = cdp_tree_empty(&md->tree, &root);
	if (r)
		return r;
	cdp_metadata_set_tree_root(md, &root);
	r = dm_btree_empty(&md->volumes, &md->super.volumes_root);
	if (r)
		return r;
	r = dm_btree_empty(&md->branches, &md->super.branches_root);
	if (r)
		return r;
	r = dm_btree_empty(&md->marks, &md->super.marks_root);
	if (r)
		return r;
	r = dm_array_empty(&md->words, &words);
	if (r)
		return r;
	__dm_bless_for_disk(&zero);
	return dm_array_resize(&md->words, words, 0, nr_words(md), &zero,
			       &md->super.space_root);
}

int cdp_metadata_format(struct cdp_metadata *md, char **error)
{
	u64 nr_free, bitmap = nr_words(md) / WORDS_PER_ARRAY_BLOCK;
	/* The bitmap; some history; and what the checkpoint keeps in reserve, with room to work. */
	u64 need = bitmap + MIN_METADATA_BLOCKS / 2 + 4 * min_t(u64, CDP_LEAF_ENTRIES, bitmap);
	int r;

	r = dm_tm_create_with_sm(md->bm, SUPER_LOCATION, &md->tm, &md->sm);
	if (r) {
		md->tm = NULL;
		*error = "the metadata device cannot be formatted";
		return r;
	}
	structures_init(md);
	r = cdp_metadata_free_blocks(md, &nr_free);
	if (!r)
		r = dm_sm_get_nr_blocks(md->sm, &md->super.nr_metadata_blocks);
	if (r)
		return r;
	if (nr_free < need + need / 8) {
		*error = "the metadata device is too small for this data device";
		return -ENOSPC;
	}
	r = make_empty(md);
	if (!r)
		r = cdp_metadata_commit(md);
	if (r) {
		*error = "the metadata device cannot be formatted";
		return r;
	}
	md->non_blocking = dm_tm_create_non_blocking_clone(md->tm);
	return md->non_blocking ? 0 : -ENOMEM;
}

int cdp_metadata_start(struct cdp_metadata *md, char **error)
{
	int r;

	if (md->super.nr_data_blocks > CDP_MAX_DATA_BLOCKS) {
		*error = "the data device has too many blocks for this kernel's arrays";
		return -EINVAL;
	}
	r = dm_tm_open_with_sm(md->bm, SUPER_LOCATION, md->super.metadata_space_map_root,
			       sizeof(md->super.metadata_space_map_root), &md->tm, &md->sm);
	if (r) {
		md->tm = NULL;
		*error = "the metadata space map is damaged";
		return r;
	}
	structures_init(md);
	md->non_blocking = dm_tm_create_non_blocking_clone(md->tm);
	return md->non_blocking ? 0 : -ENOMEM;
}

void cdp_metadata_close(struct cdp_metadata *md)
{
	if (md->non_blocking)
		dm_tm_destroy(md->non_blocking);
	if (md->tm) {
		dm_tm_destroy(md->tm);
		dm_sm_destroy(md->sm);
	}
	if (md->bm)
		dm_block_manager_destroy(md->bm);
	memset(md, 0, sizeof(*md));
}

/*
 * Loading
 */
static int load_volume(void *context, u64 *keys, void *leaf)
{
	return cdp_catalog_load_volume(context, *keys, leaf);
}

static int load_branch(void *context, u64 *keys, void *leaf)
{
	return cdp_catalog_load_branch(context, *keys, leaf);
}

static int load_mark(void *context, u64 *keys, void *leaf)
{
	return cdp_catalog_load_mark(context, *keys, leaf);
}

int cdp_metadata_load_catalog(struct cdp_metadata *md, struct cdp_catalog *catalog)
{
	int r;

	catalog->next_volume = md->super.next_volume;
	catalog->time = md->super.time;
	catalog->max_branches = md->super.nr_metadata_blocks * BRANCHES_PER_BLOCK;
	r = dm_btree_walk(&md->volumes, md->super.volumes_root, load_volume, catalog);
	if (r)
		return r;
	r = dm_btree_walk(&md->branches, md->super.branches_root, load_branch, catalog);
	if (r)
		return r;
	r = dm_btree_walk(&md->marks, md->super.marks_root, load_mark, catalog);
	if (r)
		return r;
	return cdp_catalog_loaded(catalog);
}

int cdp_metadata_load_space(struct cdp_metadata *md, struct cdp_space *space)
{
	struct dm_array_cursor cursor;
	u32 word, nr = nr_words(md);
	__le64 *bits;
	int r;

	r = dm_array_cursor_begin(&md->words, md->super.space_root, &cursor);
	if (r)
		return r;
	for (word = 0; word < nr; word++) {
		dm_array_cursor_get_value(&cursor, (void **)&bits);
		cdp_space_load(space, word, le64_to_cpu(*bits));
		if (word + 1 == nr)
			break;
		r = dm_array_cursor_next(&cursor);
		if (r)
			break;
	}
	dm_array_cursor_end(&cursor);
	return r;
}

/*
 * Saving
 */
static int insert(struct dm_btree_info *info, u64 *root, u64 key, void *value)
{
	__dm_bless_for_disk(value);
	return dm_btree_insert(info, *root, &key, value, root);
}

static int remove(struct dm_btree_info *info, u64 *root, u64 key)
{
	return dm_btree_remove(info, *root, &key, root);
}

static int save_branch(struct cdp_metadata *md, u32 volume, u32 n, u64 start, u64 revert_to)
{
	struct cdp_branch_disk disk = {
		.start = cpu_to_le64(start),
		.revert_to = cpu_to_le64(revert_to),
	};

	return insert(&md->branches, &md->super.branches_root, (u64)volume << 32 | n, &disk);
}

static int save_create(struct cdp_metadata *md, const struct cdp_record *r)
{
	struct cdp_volume_disk disk = {
		.nr_sectors = cpu_to_le64(r->nr_sectors),
		.created = cpu_to_le64(r->time),
		.nr_branches = cpu_to_le32(1),
	};
	int error;

	memcpy(disk.name, r->name, sizeof(disk.name));
	error = insert(&md->volumes, &md->super.volumes_root, r->volume, &disk);
	if (error)
		return error;
	if (r->volume >= md->super.next_volume)
		md->super.next_volume = r->volume + 1;
	return save_branch(md, r->volume, 0, r->time, 0);
}

static int lookup_volume(struct cdp_metadata *md, u64 volume, struct cdp_volume_disk *disk)
{
	return dm_btree_lookup(&md->volumes, md->super.volumes_root, &volume, disk);
}

static int save_delete(struct cdp_metadata *md, const struct cdp_record *r)
{
	struct cdp_volume_disk disk;
	int error = lookup_volume(md, r->volume, &disk);

	if (error)
		return error;
	disk.flags = cpu_to_le32(CDP_VOLUME_DELETED);
	return insert(&md->volumes, &md->super.volumes_root, r->volume, &disk);
}

static int save_revert(struct cdp_metadata *md, const struct cdp_record *r)
{
	struct cdp_volume_disk disk;
	int error = lookup_volume(md, r->volume, &disk);
	u32 n;

	if (error)
		return error;
	n = le32_to_cpu(disk.nr_branches);
	disk.nr_branches = cpu_to_le32(n + 1);
	error = insert(&md->volumes, &md->super.volumes_root, r->volume, &disk);
	return error ?: save_branch(md, r->volume, n, r->time, r->revert_to);
}

static int save_mark(struct cdp_metadata *md, const struct cdp_record *r)
{
	struct cdp_mark_disk disk = { .nr_volumes = cpu_to_le32(r->nr_volumes) };
	unsigned int i;

	memcpy(disk.name, r->name, sizeof(disk.name));
	for (i = 0; i < r->nr_volumes; i++)
		disk.volumes[i] = cpu_to_le32(r->volumes[i]);
	md->super.nr_marks++;
	return insert(&md->marks, &md->super.marks_root, r->time, &disk);
}

int cdp_metadata_save_change(struct cdp_metadata *md, const struct cdp_record *record)
{
	switch (record->type) {
	case CDP_REC_CREATE:
		return save_create(md, record);
	case CDP_REC_DELETE:
		return save_delete(md, record);
	case CDP_REC_REVERT:
		return save_revert(md, record);
	case CDP_REC_MARK:
		return save_mark(md, record);
	case CDP_REC_UNMARK:
		md->super.nr_marks--;
		return remove(&md->marks, &md->super.marks_root, record->time);
	}
	return -EINVAL;
}

int cdp_metadata_save_newest(struct cdp_metadata *md, u32 volume, const u64 *newest)
{
	struct cdp_volume_disk disk;
	int i, r = lookup_volume(md, volume, &disk);

	if (r)
		return r;
	for (i = 0; i < CDP_NR_LEVELS; i++)
		disk.newest[i] = cpu_to_le64(newest[i]);
	return insert(&md->volumes, &md->super.volumes_root, volume, &disk);
}

int cdp_metadata_forget_volume(struct cdp_metadata *md, u32 volume, unsigned int nr_branches)
{
	int r = 0;

	while (nr_branches-- && !r)
		r = remove(&md->branches, &md->super.branches_root,
			   (u64)volume << 32 | nr_branches);
	return r ?: remove(&md->volumes, &md->super.volumes_root, volume);
}

int cdp_metadata_save_space(struct cdp_metadata *md, struct cdp_space *space)
{
	unsigned int n = 0;
	u64 word, bits;
	int r;

	for (word = 0; cdp_space_next_dirty(space, &word, &bits); word++) {
		__le64 value = cpu_to_le64(bits);

		__dm_bless_for_disk(&value);
		r = dm_array_set_value(&md->words, md->super.space_root, word, &value,
				       &md->super.space_root);
		if (r)
			return r;
		if (!(++n & 63))
			cond_resched();
	}
	return 0;
}

int cdp_metadata_commit(struct cdp_metadata *md)
{
	struct cdp_super *super = &md->super;
	struct dm_block *block;
	size_t len;
	int r;

	r = dm_tm_pre_commit(md->tm);
	if (r)
		return r;
	r = dm_sm_root_size(md->sm, &len);
	if (r)
		return r;
	if (WARN_ON(len > sizeof(super->metadata_space_map_root)))
		return -EINVAL;
	r = dm_sm_copy_root(md->sm, super->metadata_space_map_root, len);
	if (r)
		return r;

	r = dm_bm_write_lock_zero(md->bm, SUPER_LOCATION, NULL, &block);
	if (r)
		return r;
	super->generation++;
	cdp_super_pack(dm_block_data(block), super);
	return dm_tm_commit(md->tm, block);
}

int cdp_metadata_free_blocks(struct cdp_metadata *md, u64 *nr_free)
{
	return dm_sm_get_nr_free(md->sm, nr_free);
}

u64 cdp_metadata_bitmap_blocks(const struct cdp_metadata *md)
{
	return nr_words(md) / WORDS_PER_ARRAY_BLOCK + 1;
}
