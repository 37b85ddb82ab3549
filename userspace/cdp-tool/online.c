// SPDX-License-Identifier: GPL-2.0-only
#include "online.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "progress.h"

enum { POOL_SECTORS = 8 };		/* the pool's device does no I/O */

#define NAME_RULE "'%s' is not the name of %s: 1 to %d of [A-Za-z0-9._+:-], the first a letter or digit"

static int fail_name(const char *what, const char *text, int max)
{
	return fail(EXIT_USAGE, NAME_RULE, text, what, max);
}

int parse_pool(struct cdp_path *path, const char *text)
{
	return cdp_path_parse_pool(path, text) ? fail_name("a pool", text, CDP_POOL_NAME_MAX) : 0;
}

int parse_name(char name[CDP_NAME_SIZE], const char *what, const char *text)
{
	return cdp_name_copy(name, text) ? fail_name(what, text, CDP_NAME_SIZE - 1) : 0;
}

/* Which half is wrong, and that it is one of that word. */
static int fail_half(const char *text, const char *pool, const char *volume)
{
	struct cdp_path path;

	if (cdp_path_parse_pool(&path, pool))
		return fail(EXIT_USAGE, "'%s': " NAME_RULE, text, pool, "a pool",
			    CDP_POOL_NAME_MAX);
	return fail(EXIT_USAGE, "'%s': " NAME_RULE, text, volume, "a volume", CDP_NAME_SIZE - 1);
}

int parse_volume(struct cdp_path *path, const char *text)
{
	const char *slash = strchr(text, '/');
	char *pool;
	int r;

	if (!slash)
		return usage_error("'%s' is not <pool>/<volume>: it has no slash", text);
	if (!cdp_path_parse_volume(path, text))
		return 0;
	pool = strndup(text, slash - text);
	if (!pool)
		return fail_errno(-ENOMEM, "'%s'", text);
	r = fail_half(text, pool, slash + 1);
	free(pool);
	return r;
}

/*
 * Devices
 */
int target_check(const char *target)
{
	int r = cdp_control_has_target(target);

	if (r < 0)
		return fail_errno(r, "targets of the kernel");
	if (r)
		return 0;
	return fail(EXIT_NO_MODULE, "the kernel has no target '%s'; 'modprobe dm-cdp' loads it",
		    target);
}

static int fail_create(int error, const char *name, const char *target)
{
	int r;

	if (error == -EPERM || error == -EACCES)
		return fail_errno(error, "%s", name);
	r = target_check(target);
	if (r)
		return r;
	if (error == -EBUSY)
		return fail(EXIT_EXISTS,
			    "%s: a device of that name is open already, or its devices are in use",
			    name);
	return fail_errno(error,
			  "%s: the kernel does not open it ('dmesg | tail' tells why)",
			  name);
}

static int create(const char *name, const char *uuid_prefix, u64 sectors, const char *target,
		  const char *params)
{
	char uuid[CDP_DM_UUID_SIZE];
	struct cdp_device_spec spec = {
		.name = name, .uuid = uuid, .sectors = sectors, .target = target, .params = params,
		.read_only = !strcmp(target, CDP_TARGET_VIEW),
	};
	int r;

	r = cdp_uuid_make(uuid, uuid_prefix, name);
	if (r)
		return fail(EXIT_USAGE, "the device name '%s' is too long", name);
	r = cdp_device_create(&spec);
	return r ? fail_create(r, name, target) : 0;
}

/* Decimal digits only, as the kernel takes them. */
static int check_number(const char *option, const char *text, unsigned long min,
			unsigned long max)
{
	unsigned long value;
	char *end;

	if (!text)
		return 0;
	errno = 0;
	value = strtoul(text, &end, 10);
	if (isdigit((unsigned char)*text) && !*end && !errno && value >= min && value <= max)
		return 0;
	return usage_error("--%s '%s' is not a number from %lu to %lu", option, text, min, max);
}

int pool_args_check(const struct pool_args *args)
{
	int r;

	if (!args->metadata || !args->data)
		return usage_error("--metadata and --data are needed");
	r = check_number("checkpoint-extents", args->checkpoint_extents, 16, 1 << 24);
	return r ? r : check_number("checkpoint-ms", args->checkpoint_ms, 10, 3600 * 1000);
}

static void add_option(char *options, size_t size, int *nr, const char *name, const char *value)
{
	size_t len = strlen(options);

	snprintf(options + len, size - len, " %s %s", name, value);
	*nr += 2;
}

int pool_activate(const char *pool, const struct pool_args *args, u32 metadata_major,
		  u32 metadata_minor, u32 data_major, u32 data_minor)
{
	char params[512], options[256] = "", journal[24];
	int r, nr = 0;

	if (args->journal_blocks) {
		snprintf(journal, sizeof(journal), "%llu", args->journal_blocks);
		add_option(options, sizeof(options), &nr, "journal_blocks", journal);
	}
	if (args->checkpoint_extents)
		add_option(options, sizeof(options), &nr, "checkpoint_extents",
			   args->checkpoint_extents);
	if (args->checkpoint_ms)
		add_option(options, sizeof(options), &nr, "checkpoint_ms", args->checkpoint_ms);

	snprintf(params, sizeof(params), "%u:%u %u:%u %u", metadata_major, metadata_minor,
		 data_major, data_minor, args->block_sectors);
	if (nr) {
		size_t len = strlen(params);

		snprintf(params + len, sizeof(params) - len, " %d%s", nr, options);
	}
	progress_begin(args->fresh ? "formatting" : "opening the pool: the journal is replayed", 0);
	r = create(pool, CDP_UUID_POOL, POOL_SECTORS, CDP_TARGET_POOL, params);
	progress_end();
	return r;
}

int pool_find(struct cdp_device *pool, const char *name)
{
	int r = cdp_device_table(pool, name);

	if (!r && strcmp(pool->target, CDP_TARGET_POOL)) {
		cdp_device_exit(pool);
		return fail(EXIT_NOT_FOUND, "'%s' is not a cdp pool", name);
	}
	if (r == -ENODEV)
		return fail(EXIT_NOT_FOUND,
			    "pool '%s' is not open; 'cdp-tool pool open %s --metadata DEV --data DEV' opens it",
			    name, name);
	return r ? fail_errno(r, "pool '%s'", name) : 0;
}

static bool of_pool(const struct cdp_device *device, const struct cdp_device *pool,
		    struct cdp_volume_table *table)
{
	return !cdp_table_volume(table, device->params) && table->major == pool->major &&
	       table->minor == pool->minor;
}

int pool_devices(const struct cdp_device *pool, const char *target,
		 struct cdp_device **list, unsigned int *nr)
{
	struct cdp_volume_table table;
	unsigned int i, kept = 0;
	int r;

	r = cdp_device_list(target, list, nr);
	if (r)
		return fail_errno(r, "list of devices");
	for (i = 0; i < *nr; i++) {
		if (of_pool(&(*list)[i], pool, &table))
			(*list)[kept++] = (*list)[i];
		else
			cdp_device_exit(&(*list)[i]);
	}
	*nr = kept;
	return 0;
}

int volume_find(struct cdp_volume_line *volume, const struct cdp_path *path)
{
	struct cdp_volume_line *list;
	unsigned int i, nr;
	int r;

	r = cdp_pool_list_volumes(path->pool, &list, &nr);
	if (r)
		return fail_errno(r, "volumes of pool '%s'", path->pool);
	for (i = 0; i < nr; i++)
		if (!strcmp(list[i].name, path->volume))
			break;
	if (i < nr)
		*volume = list[i];
	free(list);
	if (i < nr)
		return 0;
	return fail(EXIT_NOT_FOUND,
		    "pool '%s' has no volume '%s'; 'cdp-tool volume list %s' lists them",
		    path->pool, path->volume, path->pool);
}

int volume_device(struct cdp_device *device, const struct cdp_device *pool,
		  const struct cdp_path *path)
{
	struct cdp_volume_table table;
	struct cdp_device *list;
	unsigned int i, nr;
	int r;

	memset(device, 0, sizeof(*device));
	r = pool_devices(pool, CDP_TARGET_VOLUME, &list, &nr);
	if (r)
		return r;
	for (i = 0; i < nr; i++) {
		if (cdp_table_volume(&table, list[i].params) || strcmp(table.volume, path->volume))
			continue;
		*device = list[i];
		list[i].params = NULL;
		break;
	}
	cdp_device_list_free(list, nr);
	return 0;
}

int volume_activate(const struct cdp_device *pool, const struct cdp_path *path, u64 sectors)
{
	char name[CDP_DM_NAME_SIZE], params[256];

	cdp_path_device(name, path);
	snprintf(params, sizeof(params), "%u:%u %s", pool->major, pool->minor, path->volume);
	return create(name, CDP_UUID_VOLUME, sectors, CDP_TARGET_VOLUME, params);
}

int view_activate(const char *name, const struct cdp_device *pool, const struct cdp_path *path,
		  u64 sectors, u64 instant)
{
	char params[256];

	snprintf(params, sizeof(params), "%u:%u %s %llu", pool->major, pool->minor, path->volume,
		 instant);
	return create(name, CDP_UUID_VIEW, sectors, CDP_TARGET_VIEW, params);
}

/*
 * Instants
 */
static int fail_instant(int error, const char *word)
{
	if (error == -ERANGE)
		return fail(EXIT_USAGE, "'%s' is no date that there is, or out of range", word);
	return fail(EXIT_USAGE,
		    "'%s' is not an instant: now, -5min, 14:03, '2026-11-21 14:03:22.5', us:<microseconds>, @<mark> or <mark>",
		    word);
}

/* now: or 0, when the pool is asked if it has to be known. */
static int parse_instant(struct cdp_instant *instant, u64 *us, const char *pool, const char *word,
			 u64 now)
{
	int r;

	r = cdp_instant_parse(instant, word);
	if (r)
		return fail_instant(r, word);
	if (instant->kind == CDP_INSTANT_MARK)
		return 0;
	if (instant->kind == CDP_INSTANT_AGO && !now) {
		r = cdp_pool_time(pool, &now);
		if (r)
			return fail_errno(r, "time of pool '%s'", pool);
	}
	r = cdp_instant_time(instant, now, us);
	return r ? fail_instant(r, word) : 0;
}

int instant_argument(char text[CDP_NAME_SIZE + 1], const char *pool, const char *word)
{
	struct cdp_instant instant;
	u64 us;
	int r;

	r = parse_instant(&instant, &us, pool, word, 0);
	if (r)
		return r;
	if (instant.kind == CDP_INSTANT_MARK)
		snprintf(text, CDP_NAME_SIZE + 1, "@%s", instant.mark);
	else
		snprintf(text, CDP_NAME_SIZE + 1, "%llu", us);
	return 0;
}

static int fail_resolve(int error, const struct cdp_path *path, const char *word,
			const char *argument)
{
	if (error != -ENOENT && error != -EINVAL && error != -ERANGE)
		return fail_errno(error, "instant '%s' of %s/%s", word, path->pool, path->volume);
	if (*argument == '@')
		return fail(EXIT_NOT_FOUND,
			    "volume '%s' has no mark '%s'; 'cdp-tool log %s/%s' lists them",
			    path->volume, argument + 1, path->pool, path->volume);
	return fail(EXIT_NOT_FOUND,
		    "volume '%s' has no instant '%s': before its creation, or in the future; see 'cdp-tool log %s/%s'",
		    path->volume, word, path->pool, path->volume);
}

int instant_resolve(u64 *instant, u64 *branch, const struct cdp_path *path, const char *word)
{
	char argument[CDP_NAME_SIZE + 1];
	int r;

	r = instant_argument(argument, path->pool, word);
	if (r)
		return r;
	r = cdp_pool_resolve(path->pool, path->volume, argument, instant, branch);
	return r ? fail_resolve(r, path, word, argument) : 0;
}

static int mark_time(u64 *time, const char *pool, const char *name)
{
	struct cdp_mark_line *marks;
	unsigned int i, nr;
	int r;

	r = cdp_pool_list_marks(pool, &marks, &nr);
	if (r)
		return fail_errno(r, "marks of pool '%s'", pool);
	r = -ENOENT;
	for (i = 0; i < nr && r; i++) {
		if (strcmp(marks[i].name, name))
			continue;
		*time = marks[i].time;
		r = 0;
	}
	cdp_pool_free_marks(marks, nr);
	return r ? fail(EXIT_NOT_FOUND, "pool '%s' has no mark '%s'", pool, name) : 0;
}

int instant_of_pool(u64 *instant, const char *pool, const char *word, u64 now)
{
	struct cdp_instant parsed;
	int r;

	r = parse_instant(&parsed, instant, pool, word, now);
	if (!r && parsed.kind == CDP_INSTANT_MARK)
		r = mark_time(instant, pool, parsed.mark);
	return r;
}
