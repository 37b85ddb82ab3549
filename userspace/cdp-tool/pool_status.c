// SPDX-License-Identifier: GPL-2.0-only
#include "online.h"
#include "size.h"
#include "verbs.h"

static void print_fill(const char *what, u64 used, u64 total, u64 unit)
{
	char a[CDP_SIZE_TEXT], b[CDP_SIZE_TEXT];

	cdp_size_format(a, used * unit);
	cdp_size_format(b, total * unit);
	print("  %-12s %s of %s (%llu%%)\n", what, a, b, total ? used * 100 / total : 0);
}

static json_object *fill_json(u64 used, u64 total, u64 unit)
{
	json_object *o = json_object_new_object();

	json_add_number(o, "used_bytes", used * unit);
	json_add_number(o, "total_bytes", total * unit);
	return o;
}

static void print_status(const char *name, const struct cdp_pool_status *s, u64 block_size)
{
	char time[CDP_TIME_TEXT];

	print("pool %s: %s\n", name, s->mode);
	if (!s->data_total)
		return;
	cdp_time_format(time, s->time);
	print("  %-12s %s\n", "time", s->time ? time : "nothing was written yet");
	print_fill("data", s->data_used, s->data_total, block_size);
	print_fill("metadata", s->metadata_used, s->metadata_total, CDP_UNIT_SIZE);
	print_fill("journal", s->journal_used, s->journal_total, CDP_UNIT_SIZE);
	print("  %-12s %llu extents not in the index yet, %llu checkpoints\n", "tail", s->tail,
	      s->checkpoints);
	print("  %-12s %llu\n  %-12s %llu\n", "volumes", s->volumes, "marks", s->marks);
}

static json_object *status_json(const char *name, const struct cdp_pool_status *s,
				const struct cdp_pool_table *t)
{
	u64 block_size = t->block_sectors * 512ULL;
	json_object *o = json_object_new_object();

	json_add_text(o, "pool", name);
	json_add_text(o, "mode", s->mode);
	json_add_time(o, "time", s->time);
	json_add_number(o, "block_size", block_size);
	json_add(o, "data", fill_json(s->data_used, s->data_total, block_size));
	json_add(o, "metadata", fill_json(s->metadata_used, s->metadata_total, CDP_UNIT_SIZE));
	json_add(o, "journal", fill_json(s->journal_used, s->journal_total, CDP_UNIT_SIZE));
	json_add_number(o, "tail_extents", s->tail);
	json_add_number(o, "volumes", s->volumes);
	json_add_number(o, "marks", s->marks);
	json_add_number(o, "checkpoints", s->checkpoints);
	return o;
}

static int show(const struct cdp_device *pool, json_object *pools)
{
	struct cdp_pool_status status;
	struct cdp_pool_table table;
	struct cdp_device device;
	int r;

	r = cdp_table_pool(&table, pool->params);
	if (!r)
		r = cdp_device_status(&device, pool->name);
	if (r)
		return fail_errno(r, "status of pool '%s'", pool->name);
	r = cdp_status_pool(&status, device.params);
	cdp_device_exit(&device);
	if (r)
		return fail_errno(r, "status of pool '%s'", pool->name);
	print_status(pool->name, &status, table.block_sectors * 512ULL);
	json_object_array_add(pools, status_json(pool->name, &status, &table));
	return 0;
}

static int show_all(json_object *pools)
{
	struct cdp_device *list;
	unsigned int i, nr;
	int r;

	r = cdp_device_list(CDP_TARGET_POOL, &list, &nr);
	if (r)
		return fail_errno(r, "list of devices");
	for (i = 0; i < nr && !r; i++)
		r = show(&list[i], pools);
	cdp_device_list_free(list, nr);
	if (!nr)
		say("no pool is open\n");
	return r;
}

static int show_one(const char *word, json_object *pools)
{
	struct cdp_device pool;
	struct cdp_path path;
	int r;

	r = parse_pool(&path, word);
	if (!r)
		r = pool_find(&pool, path.pool);
	if (r)
		return r;
	r = show(&pool, pools);
	cdp_device_exit(&pool);
	return r;
}

int pool_status_main(int argc, char **argv)
{
	const struct option_spec specs[] = { { .name = NULL } };
	json_object *pools;
	int r, nr;

	r = options_parse(argc, argv, specs, 0, 1, &nr);
	if (r)
		return r;
	pools = json_object_new_array();
	r = nr ? show_one(argv[0], pools) : show_all(pools);
	if (!r)
		return done(pools);
	json_object_put(pools);
	return r;
}
