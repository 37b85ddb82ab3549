/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The pool: all state that a cdp-pool target, its volumes and its views share.
 *
 * Who runs what
 *   map(), end_io	reads and writes: tails, tree lookups, allocation, time
 *   pool->checkpointer	checkpoints; it alone changes the metadata device
 *   pool->io_wq	bios that could not go on in map(): cold reads, sub-block writes
 *   pool->journal_wq	journal rounds that start from an interrupt; cold reads are not to
 *			hold them up
 *   messages		catalog changes, under the catalog's mutex
 *
 * Lock order
 *   md->suspend_lock
 *     pools mutex (pool.c)
 *   catalog.mutex: a checkpoint takes it, and writes may wait for the checkpoint; so who
 *     holds it allocates with NOIO
 *     partial_mutex
 *       gate.drain_mutex
 *     index.lock
 *       pool.lock (irq-safe)
 *       index.tail_lock (irq-safe)
 *   ti_mutex, checkpoint_done.lock (irq-safe): nothing is taken under them
 */
#ifndef DM_CDP_POOL_H
#define DM_CDP_POOL_H

#include "catalog.h"
#include "gate.h"
#include "index.h"
#include "journal.h"
#include "metadata.h"
#include "space.h"

#include <linux/bio.h>
#include <linux/completion.h>
#include <linux/device-mapper.h>
#include <linux/kthread.h>
#include <linux/mempool.h>
#include <linux/refcount.h>
#include <linux/workqueue.h>

#define DM_MSG_PREFIX "cdp"

enum { CDP_PARTIAL_BATCH = 32 };	/* sub-block writes at a time */

enum cdp_mode {
	CDP_MODE_WRITE,
	CDP_MODE_NO_DATA_SPACE,		/* writes fail with ENOSPC, all else goes on */
	CDP_MODE_NO_METADATA_SPACE,	/* ditto */
	CDP_MODE_READ_ONLY,		/* the metadata device or the journal failed */
	CDP_MODE_FAIL,			/* the pool's table is gone, volumes are left */
};

/* A live volume's target, or a view's. */
struct cdp_target {
	struct list_head list;
	struct dm_target *ti;
	struct dm_dev *pool_dev;
	struct dm_dev *metadata_dev;	/* the pool's, should its own table go first */
	struct dm_dev *data_dev;
	struct cdp_pool *pool;
	bool suspended;			/* counted in its device's; under the pools mutex */
	refcount_t pins;
	struct completion unpinned;
	struct cdp_volume *volume;
	struct cdp_lineage *lineage;	/* view: of its instant; live: NULL */
	u64 instant;			/* ditto */
};

struct cdp_options {
	u64 journal_blocks;		/* when formatting */
	u64 checkpoint_extents;		/* extents in the tail that start a checkpoint */
	unsigned int checkpoint_ms;	/* longest time between a write and its checkpoint */
};

struct cdp_pool {
	struct list_head list;		/* all pools; with refs, under the pools mutex */
	unsigned int refs;
	unsigned int nr_tables;		/* of the pool's own device; under the pools mutex */
	struct mapped_device *md;
	struct list_head targets;	/* struct cdp_target; under the pools mutex */
	bool suspended;			/* ditto; read without by who may be late */
	struct block_device *metadata_bdev;
	struct block_device *data_bdev;
	dev_t metadata_dev;
	dev_t data_dev;

	u32 block_sectors;
	unsigned int block_shift;	/* of sectors */
	sector_t data_start;
	u64 nr_data_blocks;
	struct cdp_options options;
	enum cdp_mode mode;		/* changed by cdp_pool_set_mode() only */

	spinlock_t lock;		/* gate, space */
	struct cdp_gate gate;
	struct cdp_space space;

	struct cdp_index index;
	struct cdp_journal journal;
	struct cdp_catalog catalog;
	struct cdp_metadata metadata;

	/* Checkpoints. */
	struct kthread_worker *checkpointer;
	struct kthread_work checkpoint_work;
	struct kthread_delayed_work checkpoint_timer;
	wait_queue_head_t checkpoint_done; /* its lock protects the next three */
	bool checkpoint_queued;
	u64 checkpoints_started;
	u64 checkpoints;		/* ended */
	bool closing;
	u64 checkpoint_seq;		/* journal position of the last freeze */
	u64 tail_limit;			/* extents that the active tail may hold */
	atomic64_t in_flight;		/* extents of writes that are not in it yet */
	u64 metadata_free;		/* blocks, at the last checkpoint */
	u64 max_changes;		/* of the catalog until the next checkpoint */

	struct workqueue_struct *io_wq;
	struct workqueue_struct *journal_wq;
	struct bio_set splits;		/* struct cdp_split */
	struct list_head throttled;	/* writes that wait (io.c); under lock */
	struct work_struct throttled_work;
	struct list_head partial;	/* sub-block writes; under lock */
	struct work_struct partial_work;
	struct mutex partial_mutex;	/* held while a batch is under way */
	struct cdp_lineage *partial_lineage; /* scratch of partial_work */
	unsigned int partial_lineage_nr;
	mempool_t partial_pages;	/* of a block each */

	struct work_struct event_work;	/* dm events from any context */
	struct mutex ti_mutex;
	struct dm_target *ti;		/* of the active table; under ti_mutex */
};

/* In each bio of a volume or a view. */
struct cdp_io {
	struct cdp_pool *pool;
	struct cdp_volume *volume;
	const struct cdp_lineage *lineage; /* NULL: the volume's own, of now */
	struct cdp_extent *extents;	/* of a write that has passed the gate, else NULL */
	u64 pblock;			/* its blocks */
	u64 nr;
	unsigned int nr_extents;
	u8 side;			/* of the gate */
	bool fua;
	struct list_head list;
	struct work_struct work;
	struct cdp_waiter waiter;
};

/* A part of a bio that could not be cut in map() any more. */
struct cdp_split {
	struct cdp_io io;
	struct bio *parent;
	struct bio bio;			/* last: its vectors may follow */
};

static inline struct bio *cdp_io_bio(struct cdp_io *io)
{
	return dm_bio_from_per_bio_data(io, sizeof(*io));
}

/*
 * The pool of a mapped device.  The first call opens it, formatting blank devices;
 * later ones (table reload) take a reference.  Sets *error in the user's words.
 */
struct cdp_pool *cdp_pool_get(struct mapped_device *md, struct block_device *metadata_bdev,
			      struct block_device *data_bdev, u32 block_sectors,
			      const struct cdp_options *options, char **error);
/* For volumes and views; NULL if there is no pool on that device. */
struct cdp_pool *cdp_pool_find(struct mapped_device *md);
void cdp_pool_put(struct cdp_pool *pool);
/* A table of the pool's own device goes. */
void cdp_pool_put_table(struct cdp_pool *pool);

/* Where events are raised: the target of the active table. */
void cdp_pool_set_target(struct cdp_pool *pool, struct dm_target *old, struct dm_target *new);

/*
 * A pool that is suspended suspends its volumes and views; none can be added meanwhile.
 * Adding returns NULL, or why it may not be.
 */
const char *cdp_pool_add_target(struct cdp_pool *pool, struct cdp_target *target);
void cdp_pool_remove_target(struct cdp_pool *pool, struct cdp_target *target);
void cdp_pool_suspend(struct cdp_pool *pool);
void cdp_pool_resume(struct cdp_pool *pool);

/* The only place where the mode changes: logs, raises a dm event. */
void cdp_pool_set_mode(struct cdp_pool *pool, enum cdp_mode mode, const char *why);
const char *cdp_mode_name(enum cdp_mode mode);

/* Can the pool still change what is on its devices? */
static inline bool cdp_pool_writable(const struct cdp_pool *pool)
{
	return READ_ONCE(pool->mode) < CDP_MODE_READ_ONLY;
}

/* Waits for every write issued so far; returns the time that separates.  Sleeps. */
static inline u64 cdp_pool_drain(struct cdp_pool *pool)
{
	return cdp_gate_drain(&pool->gate, &pool->lock);
}

/* checkpoint.c */
void cdp_checkpoint_init(struct cdp_pool *pool);
/*
 * The first one, which puts what was replayed into the index.  Then the timer.  If it fails the
 * pool is read-only, and what can be read is served.
 */
void cdp_checkpoint_start(struct cdp_pool *pool);
/* A last one for now; until it is resumed only messages start one. */
void cdp_checkpoint_pause(struct cdp_pool *pool);
void cdp_checkpoint_resume(struct cdp_pool *pool);
/* Stops the timer; a last one puts everything into the index. */
void cdp_checkpoint_stop(struct cdp_pool *pool);
/* Starts one if none is under way.  Any context. */
void cdp_checkpoint_kick(struct cdp_pool *pool);
/* Runs one that covers everything completed so far: 0, or -EIO.  Sleeps. */
int cdp_checkpoint_run(struct cdp_pool *pool);
/* May this change be made?  0; -EAGAIN: after a checkpoint; -ENOSPC.  Under the catalog's mutex. */
int cdp_checkpoint_admits(const struct cdp_pool *pool, const struct cdp_record *record);
/* After a write: is the tail or the journal full enough for one?  Any context. */
void cdp_checkpoint_poll(struct cdp_pool *pool);

/* replay.c: the journal into the active tail and the catalog, while the pool opens. */
int cdp_replay(struct cdp_pool *pool, char **error);

/* io.c */
int cdp_io_map(struct cdp_io *io, struct bio *bio);
int cdp_io_end(struct cdp_io *io, struct bio *bio, blk_status_t *error);
void cdp_io_throttled_work(struct work_struct *work);

/*
 * Makes io a write of up to nr blocks: extents, blocks on the data device unless
 * `zero`, a time, and passes the gate.  io->nr says how many.  -EAGAIN: after the next
 * checkpoint; -ENOMEM; -ENOSPC; -EROFS.  Any context if gfp says so.
 */
int cdp_io_begin_write(struct cdp_io *io, u64 lba, u64 nr, bool zero, gfp_t gfp);
/* 0; -EAGAIN: the tail is full until the next checkpoint; -ENOSPC; -EROFS. */
int cdp_io_may_write(const struct cdp_pool *pool);
/*
 * For one block, by a worker that has passed the gate at that time.  Sleeps, but not for a
 * checkpoint: that would wait for the catalog, whose holder may wait at the gate.
 */
int cdp_io_begin_write_at(struct cdp_io *io, u64 lba, u64 time);
/* The data are on the device, or not: the versions become visible, or nothing was. */
void cdp_io_end_write(struct cdp_io *io, bool ok);
/* Ends the bio; with FUA after its record is durable.  Any context. */
void cdp_io_finish(struct cdp_io *io, blk_status_t status);

/* partial.c: writes that do not cover whole blocks. */
void cdp_partial_queue(struct cdp_io *io);
void cdp_partial_work(struct work_struct *work);

/* message.c */
int cdp_message(struct cdp_pool *pool, unsigned int argc, char **argv, char *result,
		unsigned int maxlen);
/* An instant as people write it: microseconds or @mark.  0 or -errno. */
int cdp_parse_instant(struct cdp_pool *pool, const struct cdp_volume *volume,
		      const char *arg, u64 *instant);

/* The targets. */
extern struct target_type cdp_pool_target;
extern struct target_type cdp_volume_target;
extern struct target_type cdp_view_target;

#endif
