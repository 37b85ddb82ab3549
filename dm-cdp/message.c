// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages to the pool.  The grammar stands in include/uapi/linux/dm-cdp.h.
 *
 * A change is: check, make durable (journal), apply; all under the catalog's mutex.
 * Where the journal has no room for it, a checkpoint makes some and the change starts over.
 */
#include "pool.h"

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

/* The caller holds the catalog's mutex. */
int cdp_parse_instant(struct cdp_pool *pool, const struct cdp_volume *volume,
		      const char *arg, u64 *instant)
{
	if (*arg == '@')
		return instant_of_mark(pool, volume, arg + 1, instant);
	if (kstrtou64(arg, 10, instant)) {
		DMWARN("%s: %s is not an instant: microseconds since 1970 or @<mark>",
		       dm_device_name(pool->md), arg);
		return -EINVAL;
	}
	if (*instant > now(pool)) {
		DMWARN("%s: instant %s lies ahead", dm_device_name(pool->md), arg);
		return -EINVAL;
	}
	if (*instant <= volume->created) {
		DMWARN("%s: volume %s did not exist at %s yet", dm_device_name(pool->md),
		       volume->name, arg);
		return -ENOENT;
	}
	return 0;
}

static int set_name(struct cdp_pool *pool, struct cdp_record *record, const char *name)
{
	if (!cdp_name_valid(name)) {
		DMWARN("%s: %s is not a name: 1 to 63 of A-Za-z0-9._+:-, no sign first",
		       dm_device_name(pool->md), name);
		return -EINVAL;
	}
	strscpy(record->name, name, sizeof(record->name));
	return 0;
}

/*
 * Checks, makes durable and applies one change.
 */
static int change(struct cdp_pool *pool, const struct cdp_record *record)
{
	u8 buf[CDP_RECORD_MAX] __aligned(8);
	struct cdp_change *change;
	int r;

	if (!cdp_pool_writable(pool))
		return -EROFS;
	change = cdp_change_prepare(&pool->catalog, record);
	if (IS_ERR(change))
		return PTR_ERR(change);
	r = cdp_journal_event(pool, buf, cdp_record_pack(buf, record));
	if (r) {
		cdp_change_cancel(change);
		return r;
	}
	cdp_change_apply(&pool->catalog, change);
	return 0;
}

/*
 * The messages.  Each is called with the catalog's mutex held, and again if it returned
 * -EAGAIN.
 */
static int create_volume(struct cdp_pool *pool, unsigned int argc, char **argv,
			 char *result, unsigned int maxlen)
{
	struct cdp_record record = { .type = CDP_REC_CREATE };
	unsigned int sz = 0;
	int r;

	r = set_name(pool, &record, argv[1]);
	if (r)
		return r;
	if (kstrtou64(argv[2], 10, &record.nr_sectors) || !record.nr_sectors ||
	    record.nr_sectors & (pool->block_sectors - 1)) {
		DMWARN("%s: %s sectors: a volume's size is a multiple of the block's %u",
		       dm_device_name(pool->md), argv[2], pool->block_sectors);
		return -EINVAL;
	}
	record.volume = pool->catalog.next_volume;
	record.time = now(pool);
	r = change(pool, &record);
	if (r)
		return r;
	DMEMIT("%llu", record.time);
	return 1;
}

static int delete_volume(struct cdp_pool *pool, unsigned int argc, char **argv,
			 char *result, unsigned int maxlen)
{
	struct cdp_record record = { .type = CDP_REC_DELETE };
	struct cdp_volume *volume = find_volume(pool, argv[1]);
	int r;

	if (!volume)
		return -ENOENT;
	record.volume = volume->id;
	record.time = now(pool);
	r = change(pool, &record);
	if (r == -EBUSY)
		DMWARN("%s: volume %s is open, or a view of it is", dm_device_name(pool->md),
		       argv[1]);
	if (!r)
		cdp_checkpoint_kick(pool);
	return r;
}

static int mark_volumes(struct cdp_pool *pool, struct cdp_record *record, unsigned int argc,
			char **argv)
{
	unsigned int i, j;

	if (argc == 1 && !strcmp(argv[0], "*"))
		return 0;
	if (argc > CDP_MARK_VOLUMES) {
		DMWARN("%s: a mark names at most %u volumes; * is all of them",
		       dm_device_name(pool->md), CDP_MARK_VOLUMES);
		return -EINVAL;
	}
	for (i = 0; i < argc; i++) {
		struct cdp_volume *volume = find_volume(pool, argv[i]);

		if (!volume)
			return -ENOENT;
		for (j = 0; j < i; j++) {
			if (record->volumes[j] != volume->id)
				continue;
			DMWARN("%s: volume %s is named twice", dm_device_name(pool->md),
			       argv[i]);
			return -EINVAL;
		}
		record->volumes[i] = volume->id;
	}
	record->nr_volumes = argc;
	return 0;
}

static int mark(struct cdp_pool *pool, unsigned int argc, char **argv,
		char *result, unsigned int maxlen)
{
	struct cdp_record record = { .type = CDP_REC_MARK };
	unsigned int sz = 0;
	int r;

	r = set_name(pool, &record, argv[1]);
	if (!r)
		r = mark_volumes(pool, &record, argc - 2, argv + 2);
	if (r)
		return r;
	record.time = cdp_pool_drain(pool);
	r = change(pool, &record);
	if (r == -EEXIST)
		DMWARN("%s: the name %s is taken already", dm_device_name(pool->md), argv[1]);
	if (r)
		return r;
	DMEMIT("%llu", record.time);
	return 1;
}

static int unmark(struct cdp_pool *pool, unsigned int argc, char **argv,
		  char *result, unsigned int maxlen)
{
	struct cdp_record record = { .type = CDP_REC_UNMARK };
	struct cdp_mark *mark = cdp_catalog_mark(&pool->catalog, argv[1]);

	if (!mark) {
		DMWARN("%s: there is no mark %s", dm_device_name(pool->md), argv[1]);
		return -ENOENT;
	}
	record.time = mark->time;
	return change(pool, &record);
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

static int revert(struct cdp_pool *pool, unsigned int argc, char **argv,
		  char *result, unsigned int maxlen)
{
	struct cdp_record record = { .type = CDP_REC_REVERT };
	struct cdp_volume *volume = find_volume(pool, argv[1]);
	unsigned int sz = 0;
	int r;

	if (!volume)
		return -ENOENT;
	r = cdp_parse_instant(pool, volume, argv[2], &record.revert_to);
	if (r)
		return r;
	record.volume = volume->id;
	hold_writes(pool, volume);
	record.time = cdp_pool_drain(pool);
	r = change(pool, &record);
	release_writes(pool, volume);
	if (r)
		return r;
	DMEMIT("%llu %llu", record.time, record.revert_to);
	return 1;
}

static int resolve(struct cdp_pool *pool, unsigned int argc, char **argv,
		   char *result, unsigned int maxlen)
{
	struct cdp_volume *volume = find_volume(pool, argv[1]);
	unsigned int sz = 0;
	u64 instant;
	int r;

	if (!volume)
		return -ENOENT;
	r = cdp_parse_instant(pool, volume, argv[2], &instant);
	if (r)
		return r;
	DMEMIT("%llu %d", instant,
	       cdp_branch_find(volume->branches, volume->nr_branches, instant));
	return 1;
}

static int list_volumes(struct cdp_pool *pool, unsigned int argc, char **argv,
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

static int list_marks(struct cdp_pool *pool, unsigned int argc, char **argv,
		      char *result, unsigned int maxlen)
{
	struct cdp_mark *mark;
	unsigned int sz = 0;
	u64 after = 0;

	if (argc == 2 && kstrtou64(argv[1], 10, &after)) {
		DMWARN("%s: %s is not a time", dm_device_name(pool->md), argv[1]);
		return -EINVAL;
	}
	DMEMIT("%s", "");
	list_for_each_entry(mark, &pool->catalog.marks, list) {
		if (mark->time <= after)
			continue;
		DMEMIT("%llu %s ", mark->time, mark->name);
		sz = emit_mark_volumes(pool, mark, result, maxlen, sz);
		DMEMIT("\n");
	}
	return 1;
}

static int list_branches(struct cdp_pool *pool, unsigned int argc, char **argv,
			 char *result, unsigned int maxlen)
{
	struct cdp_volume *volume = find_volume(pool, argv[1]);
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

static int query_time(struct cdp_pool *pool, unsigned int argc, char **argv,
		      char *result, unsigned int maxlen)
{
	unsigned int sz = 0;

	DMEMIT("%llu", now(pool));
	return 1;
}

struct message {
	const char *name;
	unsigned int min_args, max_args;	/* behind the name */
	int (*run)(struct cdp_pool *pool, unsigned int argc, char **argv,
		   char *result, unsigned int maxlen);
};

static const struct message messages[] = {
	{ "create_volume", 2, 2, create_volume },
	{ "delete_volume", 1, 1, delete_volume },
	{ "mark", 2, 1 + CDP_MARK_VOLUMES, mark },
	{ "unmark", 1, 1, unmark },
	{ "revert", 2, 2, revert },
	{ "resolve", 2, 2, resolve },
	{ "list_volumes", 0, 0, list_volumes },
	{ "list_marks", 0, 1, list_marks },
	{ "list_branches", 1, 1, list_branches },
	{ "time", 0, 0, query_time },
};

static const struct message *find_message(struct cdp_pool *pool, unsigned int argc, char **argv)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(messages); i++) {
		const struct message *m = &messages[i];

		if (strcmp(argv[0], m->name))
			continue;
		if (argc - 1 >= m->min_args && argc - 1 <= m->max_args)
			return m;
		DMWARN("%s: wrong number of arguments for %s", dm_device_name(pool->md),
		       m->name);
		return NULL;
	}
	DMWARN("%s: there is no message %s", dm_device_name(pool->md), argv[0]);
	return NULL;
}

int cdp_message(struct cdp_pool *pool, unsigned int argc, char **argv, char *result,
		unsigned int maxlen)
{
	const struct message *message;
	int r;

	if (argc == 1 && !strcmp(argv[0], "checkpoint"))
		return cdp_checkpoint_run(pool);
	message = find_message(pool, argc, argv);
	if (!message)
		return -EINVAL;
	for (;;) {
		mutex_lock(&pool->catalog.mutex);
		r = message->run(pool, argc, argv, result, maxlen);
		mutex_unlock(&pool->catalog.mutex);
		if (r != -EAGAIN)
			return r;
		r = cdp_checkpoint_run(pool);
		if (r)
			return r;
	}
}
