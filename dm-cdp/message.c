// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages to the pool: what they do.  command.c has the grammar.
 *
 * A change is: check, make durable (journal), apply; all under the catalog's mutex.
 * Where the journal has no room for it, a checkpoint makes some and the change starts over.
 *
 * Whatever is refused, the log says why, for the one who sent the message.
 */
#include "command.h"
#include "pool.h"

#include <linux/sched/mm.h>

static u64 now(struct cdp_pool *pool)
{
	u64 time;

	spin_lock_irq(&pool->lock);
	time = cdp_gate_time(&pool->gate);
	spin_unlock_irq(&pool->lock);
	return time;
}

static struct cdp_volume *find_volume(struct cdp_pool *pool, const char *name)
{
	struct cdp_volume *volume = cdp_catalog_volume(&pool->catalog, name);

	if (!volume)
		DMWARN("%s: there is no volume %s", dm_device_name(pool->md), name);
	return volume;
}

static int instant_of_mark(struct cdp_pool *pool, const struct cdp_volume *volume,
			   const char *name, u64 *instant)
{
	struct cdp_mark *mark = cdp_catalog_mark(&pool->catalog, name);

	if (!mark || !cdp_mark_covers(mark, volume)) {
		DMWARN("%s: there is no mark %s of volume %s", dm_device_name(pool->md), name,
		       volume->name);
		return -ENOENT;
	}
	*instant = mark->time;
	return 0;
}

static int find_instant(struct cdp_pool *pool, const struct cdp_volume *volume,
			const struct cdp_when *when, u64 *instant)
{
	if (when->mark)
		return instant_of_mark(pool, volume, when->mark, instant);
	if (when->us > now(pool)) {
		DMWARN("%s: instant %llu lies ahead", dm_device_name(pool->md), when->us);
		return -EINVAL;
	}
	if (when->us <= volume->created) {
		DMWARN("%s: volume %s did not exist at %llu yet", dm_device_name(pool->md),
		       volume->name, when->us);
		return -ENOENT;
	}
	*instant = when->us;
	return 0;
}

/* The caller holds the catalog's mutex. */
int cdp_parse_instant(struct cdp_pool *pool, const struct cdp_volume *volume,
		      const char *arg, u64 *instant)
{
	struct cdp_when when;
	const char *why = cdp_when_parse(&when, arg);

	if (why) {
		DMWARN("%s: %s %s", dm_device_name(pool->md), arg, why);
		return -EINVAL;
	}
	return find_instant(pool, volume, &when, instant);
}

/*
 * What a change was refused for, and what helps.  What does not exist has been said before.
 */
static const char *refusal(int r)
{
	switch (r) {
	case -EEXIST:
		return "the name is taken; choose another one";
	case -EBUSY:
		return "the volume is open, or a view of it is; close them first";
	case -ENOSPC:
		return "the metadata device is full, or all volume numbers are used";
	case -EROFS:
		return "the pool is read-only after a failure; close it, check its devices";
	case -EIO:
		return "the journal could not be written; close the pool, check its devices";
	case -ENOMEM:
		return "there is no memory; try again";
	}
	return "the change does not fit the pool";
}

static void log_refusal(struct cdp_pool *pool, const struct cdp_command *command, int r)
{
	if (r == -EINVAL && command->verb == CDP_CMD_CREATE_VOLUME)
		DMWARN("%s: %s: a volume has 1 to %llu blocks of %u sectors, not %llu sectors",
		       dm_device_name(pool->md), command->name, (1ULL << CDP_LBA_BITS) - 1,
		       pool->block_sectors, command->number);
	else
		DMWARN("%s: %s: %s (error %d)", dm_device_name(pool->md), command->name,
		       refusal(r), r);
}

static int try_change(struct cdp_pool *pool, const struct cdp_record *record)
{
	u8 buf[CDP_RECORD_MAX] __aligned(8);
	struct cdp_change *change;
	int r;

	if (!cdp_pool_writable(pool))
		return -EROFS;
	r = cdp_checkpoint_admits(pool, record);
	if (r)
		return r;
	change = cdp_change_prepare(&pool->catalog, record);
	if (IS_ERR(change))
		return PTR_ERR(change);
	r = cdp_journal_event(pool, buf, cdp_record_pack(buf, record));
	if (r) {
		cdp_change_cancel(change);
		return r == -EAGAIN ? r : -EIO;
	}
	cdp_change_apply(&pool->catalog, change);
	return 0;
}

/*
 * Checks, makes durable and applies one change.
 */
static int change(struct cdp_pool *pool, const struct cdp_command *command,
		  const struct cdp_record *record)
{
	int r = try_change(pool, record);

	if (r && r != -EAGAIN)
		log_refusal(pool, command, r);
	return r;
}

/*
 * The messages.  Each is called with the catalog's mutex held, and again if it returned
 * -EAGAIN.
 */
static int create_volume(struct cdp_pool *pool, const struct cdp_command *command,
			 char *result, unsigned int maxlen)
{
	struct cdp_record record = {
		.type = CDP_REC_CREATE,
		.volume = pool->catalog.next_volume,
		.nr_sectors = command->number,
		.time = now(pool),
	};
	unsigned int sz = 0;
	int r;

	strscpy(record.name, command->name, sizeof(record.name));
	r = change(pool, command, &record);
	if (r)
		return r;
	DMEMIT("%llu", record.time);
	return 1;
}

static int delete_volume(struct cdp_pool *pool, const struct cdp_command *command,
			 char *result, unsigned int maxlen)
{
	struct cdp_record record = { .type = CDP_REC_DELETE };
	struct cdp_volume *volume = find_volume(pool, command->name);
	int r;

	if (!volume)
		return -ENOENT;
	record.volume = volume->id;
	record.time = now(pool);
	r = change(pool, command, &record);
	if (!r)
		cdp_checkpoint_kick(pool);
	return r;
}

static int find_volumes(struct cdp_pool *pool, const struct cdp_command *command,
			struct cdp_record *record)
{
	unsigned int i;

	for (i = 0; i < command->nr_volumes; i++) {
		struct cdp_volume *volume = find_volume(pool, command->volumes[i]);

		if (!volume)
			return -ENOENT;
		record->volumes[i] = volume->id;
	}
	record->nr_volumes = command->nr_volumes;
	return 0;
}

static int mark(struct cdp_pool *pool, const struct cdp_command *command,
		char *result, unsigned int maxlen)
{
	struct cdp_record record = { .type = CDP_REC_MARK };
	unsigned int sz = 0;
	int r;

	r = find_volumes(pool, command, &record);
	if (r)
		return r;
	strscpy(record.name, command->name, sizeof(record.name));
	record.time = cdp_pool_drain(pool);
	r = change(pool, command, &record);
	if (r)
		return r;
	DMEMIT("%llu", record.time);
	return 1;
}

static int unmark(struct cdp_pool *pool, const struct cdp_command *command,
		  char *result, unsigned int maxlen)
{
	struct cdp_record record = { .type = CDP_REC_UNMARK };
	struct cdp_mark *mark = cdp_catalog_mark(&pool->catalog, command->name);

	if (!mark) {
		DMWARN("%s: there is no mark %s", dm_device_name(pool->md), command->name);
		return -ENOENT;
	}
	record.time = mark->time;
	return change(pool, command, &record);
}

/*
 * Holds up the volume's writes: those that have passed the gate complete, the others go on
 * in the new branch.
 */
static void hold_writes(struct cdp_pool *pool, struct cdp_volume *volume)
{
	spin_lock_irq(&pool->lock);
	volume->reverting = true;
	spin_unlock_irq(&pool->lock);

	/* A batch of sub-block writes that was taken before is through after this. */
	mutex_lock(&pool->partial_mutex);
	mutex_unlock(&pool->partial_mutex);
}

static void release_writes(struct cdp_pool *pool, struct cdp_volume *volume)
{
	spin_lock_irq(&pool->lock);
	volume->reverting = false;
	spin_unlock_irq(&pool->lock);
	queue_work(pool->io_wq, &pool->throttled_work);
	queue_work(pool->io_wq, &pool->partial_work);
}

static int revert(struct cdp_pool *pool, const struct cdp_command *command,
		  char *result, unsigned int maxlen)
{
	struct cdp_record record = { .type = CDP_REC_REVERT };
	struct cdp_volume *volume = find_volume(pool, command->name);
	unsigned int sz = 0;
	int r;

	if (!volume)
		return -ENOENT;
	r = find_instant(pool, volume, &command->when, &record.revert_to);
	if (r)
		return r;
	record.volume = volume->id;
	hold_writes(pool, volume);
	record.time = cdp_pool_drain(pool);
	r = change(pool, command, &record);
	release_writes(pool, volume);
	if (r)
		return r;
	DMEMIT("%llu %llu", record.time, record.revert_to);
	return 1;
}

static int resolve(struct cdp_pool *pool, const struct cdp_command *command,
		   char *result, unsigned int maxlen)
{
	struct cdp_volume *volume = find_volume(pool, command->name);
	unsigned int sz = 0;
	u64 instant;
	int r;

	if (!volume)
		return -ENOENT;
	r = find_instant(pool, volume, &command->when, &instant);
	if (r)
		return r;
	DMEMIT("%llu %d", instant,
	       cdp_branch_find(volume->branches, volume->nr_branches, instant));
	return 1;
}

static int list_volumes(struct cdp_pool *pool, const struct cdp_command *command,
			char *result, unsigned int maxlen)
{
	struct cdp_volume *volume;
	unsigned int sz = 0;

	DMEMIT("%s", "");
	list_for_each_entry(volume, &pool->catalog.volumes, list)
		DMEMIT("%u %s %llu %llu %u\n", volume->id, volume->name, volume->nr_sectors,
		       volume->created, volume->nr_branches);
	return 1;
}

/* A mark's volumes, as far as they are still there. */
static unsigned int emit_mark_volumes(struct cdp_pool *pool, const struct cdp_mark *mark,
				      char *result, unsigned int maxlen, unsigned int sz)
{
	const char *comma = "";
	unsigned int i;

	if (!mark->nr_volumes)
		DMEMIT("*");
	for (i = 0; i < mark->nr_volumes; i++) {
		struct cdp_volume *volume = cdp_catalog_volume_by_id(&pool->catalog,
								     mark->volumes[i]);

		if (!volume)
			continue;
		DMEMIT("%s%s", comma, volume->name);
		comma = ",";
	}
	return sz;
}

static int list_marks(struct cdp_pool *pool, const struct cdp_command *command,
		      char *result, unsigned int maxlen)
{
	struct cdp_mark *mark;
	unsigned int sz = 0;

	DMEMIT("%s", "");
	list_for_each_entry(mark, &pool->catalog.marks, list) {
		if (mark->time <= command->number)
			continue;
		DMEMIT("%llu %s ", mark->time, mark->name);
		sz = emit_mark_volumes(pool, mark, result, maxlen, sz);
		DMEMIT("\n");
	}
	return 1;
}

static int list_branches(struct cdp_pool *pool, const struct cdp_command *command,
			 char *result, unsigned int maxlen)
{
	struct cdp_volume *volume = find_volume(pool, command->name);
	unsigned int i, sz = 0;

	if (!volume)
		return -ENOENT;
	for (i = 0; i < volume->nr_branches; i++) {
		DMEMIT("%u %llu ", i, volume->branches[i].start);
		if (i + 1 < volume->nr_branches)
			DMEMIT("%llu ", volume->branches[i + 1].start);
		else
			DMEMIT("- ");
		if (i)
			DMEMIT("%llu\n", volume->branches[i].revert_to);
		else
			DMEMIT("-\n");
	}
	return 1;
}

static int query_time(struct cdp_pool *pool, const struct cdp_command *command,
		      char *result, unsigned int maxlen)
{
	unsigned int sz = 0;

	DMEMIT("%llu", now(pool));
	return 1;
}

static int (*const execute[CDP_NR_COMMANDS])(struct cdp_pool *pool,
					      const struct cdp_command *command,
					      char *result, unsigned int maxlen) = {
	[CDP_CMD_CREATE_VOLUME] = create_volume,
	[CDP_CMD_DELETE_VOLUME] = delete_volume,
	[CDP_CMD_MARK] = mark,
	[CDP_CMD_UNMARK] = unmark,
	[CDP_CMD_REVERT] = revert,
	[CDP_CMD_RESOLVE] = resolve,
	[CDP_CMD_LIST_VOLUMES] = list_volumes,
	[CDP_CMD_LIST_MARKS] = list_marks,
	[CDP_CMD_LIST_BRANCHES] = list_branches,
	[CDP_CMD_TIME] = query_time,
};

/* Not under the catalog's mutex, which a checkpoint takes. */
static int run_checkpoint(struct cdp_pool *pool)
{
	int r = cdp_checkpoint_run(pool);

	if (r)
		DMWARN("%s: the checkpoint failed: %s", dm_device_name(pool->md), refusal(-EROFS));
	return r;
}

int cdp_message(struct cdp_pool *pool, unsigned int argc, char **argv, char *result,
		unsigned int maxlen)
{
	struct cdp_command command;
	const char *word, *why = cdp_command_parse(&command, argc, argv, &word);
	unsigned int noio;
	int r;

	if (why) {
		DMWARN("%s: %s %s", dm_device_name(pool->md), word, why);
		return -EINVAL;
	}
	if (command.verb == CDP_CMD_CHECKPOINT)
		return run_checkpoint(pool);
	for (;;) {
		noio = memalloc_noio_save();
		mutex_lock(&pool->catalog.mutex);
		r = execute[command.verb](pool, &command, result, maxlen);
		mutex_unlock(&pool->catalog.mutex);
		memalloc_noio_restore(noio);
		if (r != -EAGAIN)
			return r;
		r = run_checkpoint(pool);
		if (r)
			return r;
	}
}
