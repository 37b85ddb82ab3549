// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "busy.h"
#include "lineage.h"
#include "online.h"
#include "verbs.h"

/* What a revert to the instant would change. */
struct plan {
	u64 now;
	u64 instant;
	u64 branch;		/* that holds the instant */
	u32 new_branch;
	unsigned int marks_left;	/* marks that the volume sees now, and would not see then */
};

static struct cdp_lineage *lineage_at(const struct cdp_branch *branches, unsigned int nr, u64 t)
{
	struct cdp_lineage *l = malloc(sizeof(*l) + nr * sizeof(l->intervals[0]));

	if (l && cdp_lineage_fill(l, branches, nr, t))
		l->nr = 0;
	return l;
}

static bool sees(const struct cdp_lineage *l, u64 time)
{
	unsigned int i;

	for (i = 0; i < l->nr; i++)
		if (time > l->intervals[i].lo && time <= l->intervals[i].hi)
			return true;
	return false;
}

static int count_marks(struct plan *plan, const struct cdp_path *path,
		       const struct cdp_lineage *before, const struct cdp_lineage *after)
{
	struct cdp_volume_line volume;
	struct cdp_mark_line *marks;
	unsigned int i, nr;
	int r;

	r = volume_find(&volume, path);
	if (r)
		return r;
	r = cdp_pool_list_marks(path->pool, &marks, &nr);
	if (r)
		return fail_errno(r, "marks of pool '%s'", path->pool);
	for (i = 0; i < nr; i++)
		if (cdp_mark_has(&marks[i], &volume) && sees(before, marks[i].time) &&
		    !sees(after, marks[i].time))
			plan->marks_left++;
	cdp_pool_free_marks(marks, nr);
	return 0;
}

static int compare_lineages(struct plan *plan, const struct cdp_path *path,
			    const struct cdp_branch_line *lines, unsigned int nr)
{
	struct cdp_branch *branches = calloc(nr + 1, sizeof(*branches));
	struct cdp_lineage *before = NULL, *after = NULL;
	unsigned int i;
	int r;

	for (i = 0; branches && i < nr; i++) {
		branches[i].start = lines[i].start;
		branches[i].revert_to = lines[i].revert_to;
	}
	if (branches) {
		before = lineage_at(branches, nr, CDP_TIME_NOW);
		after = lineage_at(branches, nr, plan->instant);
	}
	if (before && after)
		r = count_marks(plan, path, before, after);
	else
		r = fail_errno(-ENOMEM, "branches of %s/%s", path->pool, path->volume);
	free(branches);
	free(before);
	free(after);
	return r;
}

static int make_plan(struct plan *plan, const struct cdp_path *path, const char *to)
{
	struct cdp_branch_line *lines;
	unsigned int nr;
	int r;

	r = instant_resolve(&plan->instant, &plan->branch, path, to);
	if (r)
		return r;
	r = cdp_pool_time(path->pool, &plan->now);
	if (r)
		return fail_errno(r, "time of pool '%s'", path->pool);
	r = cdp_pool_list_branches(path->pool, path->volume, &lines, &nr);
	if (r)
		return fail_errno(r, "branches of %s/%s", path->pool, path->volume);
	plan->new_branch = nr ? lines[nr - 1].branch + 1 : 0;
	r = compare_lineages(plan, path, lines, nr);
	free(lines);
	return r;
}

static json_object *plan_json(const struct cdp_path *path, const struct plan *plan)
{
	json_object *o = json_object_new_object();

	json_add_text(o, "pool", path->pool);
	json_add_text(o, "volume", path->volume);
	json_add_time(o, "instant", plan->instant);
	json_add_number(o, "instant_branch", plan->branch);
	json_add_number(o, "new_branch", plan->new_branch);
	json_add_number(o, "marks_left_behind", plan->marks_left);
	return o;
}

/* Who would have to let go of the volume first, told in words too. */
static json_object *who_holds(const struct cdp_device *device)
{
	json_object *holders;
	char *text;

	if (!*device->name || !device_busy(device, NULL))
		return json_object_new_array();
	holders = holders_find(device->major, device->minor, NULL);
	if (!json_object_array_length(holders))
		json_object_array_add(holders, json_object_new_string(HOLDERS_UNKNOWN));
	text = holders_text(holders);
	print("  the volume is in use (/dev/mapper/%s), and must not be then: %s\n", device->name,
	      text ? text : "");
	free(text);
	return holders;
}

static int dry_run(const struct cdp_path *path, const struct plan *plan,
		   const struct cdp_device *device)
{
	char instant[CDP_TIME_TEXT], ago[CDP_DURATION_TEXT];
	json_object *result;

	cdp_time_format(instant, plan->instant);
	cdp_duration_format(ago, plan->now > plan->instant ? plan->now - plan->instant : 0);
	print("would take %s/%s back to %s (us:%llu)\n", path->pool, path->volume, instant,
	      plan->instant);
	print("  %s before now, on branch %llu; a new branch %u would begin there\n", ago,
	      plan->branch, plan->new_branch);
	print("  %u mark%s would be left behind; they stay, and can be reverted to\n",
	      plan->marks_left, plan->marks_left == 1 ? "" : "s");
	result = plan_json(path, plan);
	json_add(result, "held_by", who_holds(device));
	print("nothing was changed\n");
	json_add_bool(result, "dry_run", true);
	return done(result);
}

static int do_revert(const struct cdp_path *path, const struct plan *plan)
{
	char text[CDP_TIME_TEXT], argument[CDP_NAME_SIZE];
	json_object *result;
	u64 time, instant;
	int r;

	snprintf(argument, sizeof(argument), "%llu", plan->instant);
	r = cdp_pool_revert(path->pool, path->volume, argument, &time, &instant);
	if (r)
		return fail_errno(r, "revert %s/%s", path->pool, path->volume);
	cdp_time_format(text, instant);
	say("%s/%s is as it was at %s\n", path->pool, path->volume, text);
	say("undo: cdp-tool revert %s/%s --to us:%llu\n", path->pool, path->volume, time);
	result = plan_json(path, plan);
	json_add_bool(result, "dry_run", false);
	json_add_time(result, "undo", time);
	return done(result);
}

/*
 * The device is held from before the plan is made until the revert is done, so that nobody
 * mounts it meanwhile.
 */
static int revert_held(const struct cdp_path *path, const struct cdp_device *device, const char *to)
{
	struct plan plan = { 0 };
	int r = 0, fd = -1;

	if (*device->name)
		r = device_hold(&fd, device, "the volume");
	if (!r)
		r = make_plan(&plan, path, to);
	if (!r)
		r = do_revert(path, &plan);
	device_release(&fd);
	return r;
}

static int plan_only(const struct cdp_path *path, const struct cdp_device *device, const char *to)
{
	struct plan plan = { 0 };
	int r = make_plan(&plan, path, to);

	return r ? r : dry_run(path, &plan, device);
}

int revert_main(int argc, char **argv)
{
	const char *to = NULL;
	bool dry = false;
	const struct option_spec specs[] = {
		{ .name = "to", .value = &to }, { .name = "dry-run", .flag = &dry },
		{ .name = NULL }
	};
	struct cdp_device pool, device;
	struct cdp_path path;
	int r, nr;

	r = options_parse(argc, argv, specs, 1, 1, &nr);
	if (!r)
		r = parse_volume(&path, argv[0]);
	if (!r && !to)
		r = usage_error("--to INSTANT is needed");
	if (!r)
		r = pool_find(&pool, path.pool);
	if (r)
		return r;
	r = volume_device(&device, &pool, &path);
	cdp_device_exit(&pool);
	if (r)
		return r;
	r = dry ? plan_only(&path, &device, to) : revert_held(&path, &device, to);
	cdp_device_exit(&device);
	return r;
}
