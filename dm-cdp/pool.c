// SPDX-License-Identifier: GPL-2.0-only
#include "pool.h"
#include "compat/compat.h"

#include <linux/blkdev.h>
#include <linux/slab.h>
#include <linux/uuid.h>

enum {
	DEFAULT_JOURNAL_BLOCKS = 16384,		/* 64 MiB */
	JOURNAL_SHARE = 16,			/* but not more than a 16th of the device */
	NR_SPLITS = 64,
	/*
	 * Where a CPU runs both, a write that has completed is to go on at once, and not when a
	 * checkpoint has had its turn, which it has saved up while it slept.  A checkpoint still
	 * has a quarter of a CPU that is never idle: merging a write costs less than that share
	 * of what the write itself did.
	 */
	CHECKPOINT_NICE = 5,
};

static DEFINE_MUTEX(pools_mutex);
static LIST_HEAD(pools);

/*
 * Modes
 */
const char *cdp_mode_name(enum cdp_mode mode)
{
	static const char * const names[] = {
		[CDP_MODE_WRITE] = "rw",
		[CDP_MODE_NO_DATA_SPACE] = "out_of_data_space",
		[CDP_MODE_NO_METADATA_SPACE] = "out_of_metadata_space",
		[CDP_MODE_READ_ONLY] = "ro",
		[CDP_MODE_FAIL] = "fail",
	};

	return names[mode];
}

static void event_work(struct work_struct *work)
{
	struct cdp_pool *pool = container_of(work, struct cdp_pool, event_work);

	mutex_lock(&pool->ti_mutex);
	if (pool->ti)
		dm_table_event(pool->ti->table);
	mutex_unlock(&pool->ti_mutex);
}

void cdp_pool_set_target(struct cdp_pool *pool, struct dm_target *old, struct dm_target *new)
{
	mutex_lock(&pool->ti_mutex);
	if (!old || pool->ti == old)
		pool->ti = new;
	mutex_unlock(&pool->ti_mutex);
}

/*
 * From write and the two full modes in any direction; from read-only on only down.
 */
void cdp_pool_set_mode(struct cdp_pool *pool, enum cdp_mode mode, const char *why)
{
	enum cdp_mode old = READ_ONCE(pool->mode), seen;

	for (;;) {
		if (old == mode || (old >= CDP_MODE_READ_ONLY && mode < old))
			return;
		seen = cmpxchg(&pool->mode, old, mode);
		if (seen == old)
			break;
		old = seen;
	}
	if (mode == CDP_MODE_WRITE)
		DMINFO("%s: %s: mode is now %s", dm_device_name(pool->md), why,
		       cdp_mode_name(mode));
	else
		DMERR("%s: %s: mode is now %s", dm_device_name(pool->md), why,
		      cdp_mode_name(mode));
	queue_work(pool->io_wq, &pool->event_work);
}

/*
 * Opening
 */
static int rw_label(struct cdp_pool *pool, struct page *page, blk_opf_t opf)
{
	struct bio_vec vec;
	struct bio bio;
	int r;

	bio_init(&bio, pool->data_bdev, &vec, 1, opf);
	bio.bi_iter.bi_sector = 0;
	__bio_add_page(&bio, page, CDP_UNIT_SIZE, 0);
	r = submit_bio_wait(&bio);
	bio_uninit(&bio);
	return r;
}

static u64 default_journal_blocks(sector_t sectors)
{
	u64 share = div_u64(sectors, CDP_UNIT_SECTORS * JOURNAL_SHARE);

	return clamp_t(u64, share, CDP_MIN_JOURNAL_BLOCKS, DEFAULT_JOURNAL_BLOCKS);
}

/* The layout of a new pool. */
static int choose_geometry(struct cdp_pool *pool, u32 block_sectors, char **error)
{
	struct cdp_super *super = &pool->metadata.super;
	sector_t sectors = bdev_nr_sectors(pool->data_bdev);

	memset(super, 0, sizeof(*super));
	generate_random_uuid(super->uuid);
	super->block_sectors = block_sectors;
	super->journal_blocks = pool->options.journal_blocks ?: default_journal_blocks(sectors);
	super->data_start = cdp_data_start(super->journal_blocks);
	super->journal_seq = 1;
	super->next_volume = 1;
	if (sectors < super->data_start + block_sectors) {
		*error = "the data device is too small for the journal and a block";
		return -EINVAL;
	}
	super->nr_data_blocks = div_u64(sectors - super->data_start, block_sectors);
	if (super->nr_data_blocks > CDP_MAX_DATA_BLOCKS) {
		*error = "the data device has more than 2^38 - 64 blocks";
		return -EINVAL;
	}
	return 0;
}

static int format(struct cdp_pool *pool, struct page *page, u32 block_sectors, char **error)
{
	struct cdp_super *super = &pool->metadata.super;
	struct cdp_label label;
	int r;

	if (memchr_inv(page_address(page), 0, CDP_UNIT_SIZE)) {
		*error = "the data device is not blank: zero its first 4 KiB to make a new pool";
		return -EEXIST;
	}
	r = choose_geometry(pool, block_sectors, error);
	if (r)
		return r;

	memcpy(label.uuid, super->uuid, sizeof(label.uuid));
	label.block_sectors = super->block_sectors;
	label.data_start = super->data_start;
	label.journal_blocks = super->journal_blocks;
	cdp_label_pack(page_address(page), &label);
	r = rw_label(pool, page, REQ_OP_WRITE | REQ_PREFLUSH | REQ_FUA);
	if (r) {
		*error = "the label cannot be written to the data device";
		return r;
	}
	return cdp_metadata_format(&pool->metadata, error);
}

static int check_label(struct cdp_pool *pool, struct page *page, u32 block_sectors,
		       char **error)
{
	const struct cdp_super *super = &pool->metadata.super;
	struct cdp_label label;
	const char *wrong;

	wrong = cdp_label_unpack(&label, page_address(page));
	if (!wrong)
		wrong = cdp_label_mismatch(&label, super);
	if (!wrong && super->block_sectors != block_sectors)
		wrong = "the pool was made with another block size";
	if (!wrong && bdev_nr_sectors(pool->data_bdev) <
		      super->data_start + super->nr_data_blocks * super->block_sectors)
		wrong = "the data device is smaller than the pool";
	if (wrong) {
		*error = (char *)wrong;
		return -EINVAL;
	}
	return cdp_metadata_start(&pool->metadata, error);
}

static int open_devices(struct cdp_pool *pool, u32 block_sectors, char **error)
{
	struct page *page = alloc_page(GFP_KERNEL);
	int r, blank;

	if (!page)
		return -ENOMEM;
	blank = cdp_metadata_open(&pool->metadata, pool->metadata_bdev, error);
	r = blank < 0 ? blank : rw_label(pool, page, REQ_OP_READ);
	if (blank >= 0 && r)
		*error = "the data device cannot be read";
	if (!r)
		r = blank ? format(pool, page, block_sectors, error) :
			    check_label(pool, page, block_sectors, error);
	__free_page(page);
	return r;
}

static int load(struct cdp_pool *pool, char **error)
{
	const struct cdp_super *super = &pool->metadata.super;
	int r;

	pool->block_sectors = super->block_sectors;
	pool->block_shift = ilog2(super->block_sectors);
	pool->data_start = super->data_start;
	pool->nr_data_blocks = super->nr_data_blocks;
	pool->catalog.block_sectors = super->block_sectors;
	pool->journal.blocks = super->journal_blocks;

	pool->index.tree = &pool->metadata.tree;
	pool->index.non_blocking = pool->metadata.non_blocking;
	pool->index.tree_newest = super->time;
	cdp_metadata_tree_root(&pool->metadata, &pool->index.root);

	r = mempool_init_page_pool(&pool->partial_pages, CDP_PARTIAL_BATCH,
				   get_order(pool->block_sectors << SECTOR_SHIFT));
	if (!r)
		r = cdp_space_init(&pool->space, super->nr_data_blocks);
	if (r)
		return r;
	r = cdp_metadata_load_space(&pool->metadata, &pool->space);
	if (r) {
		*error = "the space bitmap is damaged";
		return r;
	}
	r = cdp_metadata_load_catalog(&pool->metadata, &pool->catalog);
	if (r) {
		*error = "the catalog of volumes, branches and marks is damaged";
		return r;
	}
	return cdp_replay(pool, error);
}

static int make_workers(struct cdp_pool *pool)
{
	struct kthread_worker *checkpointer;
	int r;

	checkpointer = kthread_create_worker(0, "cdp/%s", dm_device_name(pool->md));
	if (IS_ERR(checkpointer))
		return PTR_ERR(checkpointer);
	set_user_nice(checkpointer->task, CHECKPOINT_NICE);
	pool->checkpointer = checkpointer;
	pool->io_wq = alloc_workqueue("cdp-io", WQ_MEM_RECLAIM | WQ_UNBOUND | WQ_HIGHPRI, 0);
	pool->journal_wq = alloc_workqueue("cdp-journal", WQ_MEM_RECLAIM | WQ_HIGHPRI, 1);
	if (!pool->io_wq || !pool->journal_wq)
		return -ENOMEM;
	r = bioset_init(&pool->splits, NR_SPLITS, offsetof(struct cdp_split, bio),
			BIOSET_NEED_BVECS);
	return r ?: cdp_journal_create(pool);
}

static void destroy(struct cdp_pool *pool)
{
	if (pool->checkpointer)
		kthread_destroy_worker(pool->checkpointer);
	if (pool->io_wq)
		destroy_workqueue(pool->io_wq);
	if (pool->journal_wq)
		destroy_workqueue(pool->journal_wq);
	cdp_journal_destroy(&pool->journal);
	mempool_exit(&pool->partial_pages);
	bioset_exit(&pool->splits);
	cdp_index_exit(&pool->index);
	cdp_catalog_exit(&pool->catalog);
	cdp_space_exit(&pool->space);
	cdp_metadata_close(&pool->metadata);
	kvfree(pool->partial_lineage);
	kfree(pool);
}

static void init(struct cdp_pool *pool)
{
	INIT_LIST_HEAD(&pool->list);
	INIT_LIST_HEAD(&pool->targets);
	INIT_LIST_HEAD(&pool->throttled);
	INIT_LIST_HEAD(&pool->partial);
	INIT_WORK(&pool->throttled_work, cdp_io_throttled_work);
	INIT_WORK(&pool->partial_work, cdp_partial_work);
	INIT_WORK(&pool->event_work, event_work);
	mutex_init(&pool->partial_mutex);
	mutex_init(&pool->ti_mutex);
	spin_lock_init(&pool->lock);
	cdp_index_init(&pool->index);
	cdp_catalog_init(&pool->catalog, &pool->index.lock);
	cdp_checkpoint_init(pool);
}

static struct cdp_pool *create(struct mapped_device *md, struct block_device *metadata_bdev,
			       struct block_device *data_bdev, u32 block_sectors,
			       const struct cdp_options *options, char **error)
{
	struct cdp_pool *pool = kzalloc(sizeof(*pool), GFP_KERNEL);
	int r;

	*error = "out of memory";
	if (!pool)
		return ERR_PTR(-ENOMEM);
	init(pool);
	pool->md = md;
	pool->metadata_bdev = metadata_bdev;
	pool->data_bdev = data_bdev;
	pool->metadata_dev = metadata_bdev->bd_dev;
	pool->data_dev = data_bdev->bd_dev;
	pool->options = *options;

	r = make_workers(pool);
	if (!r)
		r = open_devices(pool, block_sectors, error);
	if (!r)
		r = load(pool, error);
	if (r) {
		destroy(pool);
		return ERR_PTR(r);
	}
	cdp_checkpoint_start(pool);
	return pool;
}

static struct cdp_pool *find(struct mapped_device *md)
{
	struct cdp_pool *pool;

	lockdep_assert_held(&pools_mutex);
	list_for_each_entry(pool, &pools, list)
		if (pool->md == md)
			return pool;
	return NULL;
}

static bool devices_in_use(struct block_device *metadata_bdev, struct block_device *data_bdev)
{
	struct cdp_pool *pool;

	list_for_each_entry(pool, &pools, list)
		if (pool->metadata_bdev == metadata_bdev || pool->data_bdev == data_bdev)
			return true;
	return false;
}

/* A table that is loaded while the pool is there has to name the same devices. */
static struct cdp_pool *reuse(struct cdp_pool *pool, struct block_device *metadata_bdev,
			      struct block_device *data_bdev, u32 block_sectors, char **error)
{
	if (pool->metadata_bdev != metadata_bdev || pool->data_bdev != data_bdev ||
	    pool->block_sectors != block_sectors) {
		*error = "the pool is open with other devices or another block size";
		return ERR_PTR(-EBUSY);
	}
	if (READ_ONCE(pool->mode) == CDP_MODE_FAIL) {
		*error = "the pool's table had been removed: close its volumes and views first";
		return ERR_PTR(-EBUSY);
	}
	pool->refs++;
	return pool;
}

struct cdp_pool *cdp_pool_get(struct mapped_device *md, struct block_device *metadata_bdev,
			      struct block_device *data_bdev, u32 block_sectors,
			      const struct cdp_options *options, char **error)
{
	struct cdp_pool *pool;

	mutex_lock(&pools_mutex);
	pool = find(md);
	if (pool) {
		pool = reuse(pool, metadata_bdev, data_bdev, block_sectors, error);
	} else if (devices_in_use(metadata_bdev, data_bdev)) {
		*error = "a device is in use by another pool";
		pool = ERR_PTR(-EBUSY);
	} else {
		pool = create(md, metadata_bdev, data_bdev, block_sectors, options, error);
		if (!IS_ERR(pool)) {
			pool->refs = 1;
			list_add(&pool->list, &pools);
		}
	}
	if (!IS_ERR(pool))
		pool->nr_tables++;
	mutex_unlock(&pools_mutex);
	return pool;
}

struct cdp_pool *cdp_pool_find(struct mapped_device *md)
{
	struct cdp_pool *pool;

	mutex_lock(&pools_mutex);
	pool = find(md);
	if (pool)
		pool->refs++;
	mutex_unlock(&pools_mutex);
	return pool;
}

/*
 * Closing.  No target is left, so no bio is: what may still run is the workers' own, and
 * destroying their queues waits for it.
 */
void cdp_pool_put(struct cdp_pool *pool)
{
	mutex_lock(&pools_mutex);
	if (!--pool->refs) {
		cdp_checkpoint_stop(pool);
		list_del(&pool->list);
		destroy(pool);
	}
	mutex_unlock(&pools_mutex);
}

/*
 * Targets
 */
static const char *may_not_add(struct cdp_pool *pool, const struct cdp_target *target)
{
	const struct mapped_device *md = dm_table_get_md(target->ti->table);
	struct cdp_target *t;

	if (READ_ONCE(pool->mode) == CDP_MODE_FAIL)
		return "the pool's table had been removed: close its volumes and views first";
	if (pool->suspended)
		return "the pool is suspended";
	list_for_each_entry(t, &pool->targets, list)
		if (!target->lineage && !t->lineage && t->volume == target->volume &&
		    dm_table_get_md(t->ti->table) != md)
			return "the volume is open as another device";
	return NULL;
}

const char *cdp_pool_add_target(struct cdp_pool *pool, struct cdp_target *target)
{
	const char *error;

	mutex_lock(&pools_mutex);
	error = may_not_add(pool, target);
	if (!error)
		list_add_tail(&target->list, &pool->targets);
	mutex_unlock(&pools_mutex);
	return error;
}

/*
 * Suspending and resuming volumes.  dm counts the internal suspends of a device, and two
 * tables of one device, of which one is not active yet, are two targets here: so each
 * remembers what was counted for it, and gives it back when it goes.
 *
 * The mutex is not held meanwhile: md->suspend_lock is taken outside it, too, when a pool is
 * removed.  A target that is being suspended or resumed is pinned instead.
 */
static struct cdp_target *pin_next(struct cdp_pool *pool, bool suspend)
{
	struct cdp_target *target, *found = NULL;

	mutex_lock(&pools_mutex);
	list_for_each_entry(target, &pool->targets, list) {
		if (target->suspended == suspend)
			continue;
		target->suspended = suspend;
		refcount_inc(&target->pins);
		found = target;
		break;
	}
	mutex_unlock(&pools_mutex);
	return found;
}

static void unpin(struct cdp_target *target)
{
	if (refcount_dec_and_test(&target->pins))
		complete(&target->unpinned);
}

void cdp_pool_remove_target(struct cdp_pool *pool, struct cdp_target *target)
{
	mutex_lock(&pools_mutex);
	list_del(&target->list);
	mutex_unlock(&pools_mutex);
	unpin(target);
	wait_for_completion(&target->unpinned);
	if (target->suspended)
		dm_internal_resume(dm_table_get_md(target->ti->table));
}

static void set_suspended(struct cdp_pool *pool, bool suspended)
{
	mutex_lock(&pools_mutex);
	WRITE_ONCE(pool->suspended, suspended);
	mutex_unlock(&pools_mutex);
}

void cdp_pool_suspend(struct cdp_pool *pool)
{
	struct cdp_target *target;

	set_suspended(pool, true);	/* none is added from here on */
	while ((target = pin_next(pool, true))) {
		dm_internal_suspend_noflush(dm_table_get_md(target->ti->table));
		unpin(target);
	}
}

void cdp_pool_resume(struct cdp_pool *pool)
{
	struct cdp_target *target;

	set_suspended(pool, false);
	while ((target = pin_next(pool, false))) {
		dm_internal_resume(dm_table_get_md(target->ti->table));
		unpin(target);
	}
}

/*
 * With the last table goes whoever could resume the volumes or send a message.  They hold the
 * devices below, but from here on all I/O fails, and fails at once.
 */
void cdp_pool_put_table(struct cdp_pool *pool)
{
	bool last;

	mutex_lock(&pools_mutex);
	last = !--pool->nr_tables && pool->refs > 1;
	if (last)
		cdp_pool_set_mode(pool, CDP_MODE_FAIL, "its table was removed under its volumes");
	mutex_unlock(&pools_mutex);
	if (last)
		cdp_pool_resume(pool);
	cdp_pool_put(pool);
}
