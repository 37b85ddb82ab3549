// SPDX-License-Identifier: GPL-2.0-only
#include "offline.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "document.h"
#include "holders.h"
#include "off_catalog.h"
#include "off_journal.h"
#include "pdata.h"
#include "progress.h"
#include "tool.h"

#define UNUSED __attribute__((unused))

enum { MAX_FINDINGS_KEPT = 1000 };

void offline_finding(struct offline *o, const char *where, const char *format, ...)
{
	json_object *finding;
	va_list args;
	char *text;
	int len;

	if (++o->nr_findings > MAX_FINDINGS_KEPT)
		return;
	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	if (len < 0)
		return;
	print("damage: %s: %s\n", where, text);
	finding = json_object_new_object();
	json_add_text(finding, "where", where);
	json_add_text(finding, "what", text);
	json_object_array_add(o->findings, finding);
	free(text);
}

void offline_add_findings(const struct offline *o)
{
	document_add("nr_findings", json_object_new_uint64(o->nr_findings));
	document_add("findings", json_object_get(o->findings));
}

static void walk_damage(void *context, const char *where, u64 block, const char *why)
{
	offline_finding(context, where, "metadata block %llu: %s", block, why);
}

static void walk_progress(UNUSED void *context, u64 nr_visited)
{
	progress_to(nr_visited);
}

/* Of the blocks that are in use; a map that cannot be read says nothing. */
static void begin_progress(const struct offline *o)
{
	struct cdp_sm_root root;

	if (cdp_sm_root_open(&root, o->walk.super.metadata_space_map_root, o->walk.nr_blocks))
		root.nr_allocated = o->walk.nr_blocks;
	progress_begin("reading metadata", root.nr_allocated + 1);
}

/*
 * Opening
 */
static int fail_in_use(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return fail_errno(-errno, "%s", path);
	return fail_held(major(st.st_rdev), minor(st.st_rdev), NULL,
			 "%s is in use; close the pool first, or look at a copy", path);
}

static int open_image(struct cdp_image *image, const char *path)
{
	int r = cdp_image_open(image, path);

	if (r == -EBUSY)
		return fail_in_use(path);
	if (r == -ENOTBLK)
		return fail(EXIT_FAILED, "%s is neither a block device nor a file", path);
	return r ? fail_errno(r, "%s", path) : 0;
}

/* The words about a superblock begin with its name, and so do its findings. */
static void super_finding(struct offline *o, const char *wrong)
{
	static const char prefix[] = "superblock: ";

	if (!strncmp(wrong, prefix, strlen(prefix)))
		wrong += strlen(prefix);
	offline_finding(o, "superblock", "%s: %s", o->metadata_path, wrong);
}

/* The bitmap of so many data blocks would not fit the metadata device: go on with what does. */
static void bound_data_blocks(struct offline *o)
{
	u64 max = o->walk.nr_blocks * CDP_ARRAY_WORDS * 64;

	if (o->walk.super.nr_data_blocks <= max)
		return;
	offline_finding(o, "superblock",
			"counts %llu data blocks, the metadata device has no room to map more than %llu",
			o->walk.super.nr_data_blocks, max);
	o->walk.super.nr_data_blocks = max;
}

static int open_metadata(struct offline *o)
{
	const char *wrong;
	int r;

	r = open_image(&o->metadata, o->metadata_path);
	if (r)
		return r;
	if (!o->metadata.nr_units) {
		offline_finding(o, "superblock", "%s is %llu bytes, not the metadata of a pool",
				o->metadata_path, o->metadata.bytes);
		return 0;
	}
	o->walk.damage = walk_damage;
	o->walk.progress = walk_progress;
	o->walk.context = o;
	r = cdp_walk_open(&o->walk, &o->metadata, &wrong);
	if (r == -ENOMEM)
		return fail_errno(r, "%s", o->metadata_path);
	if (r) {
		super_finding(o, wrong ? wrong : "cannot be read");
		return 0;
	}
	o->has_super = true;
	begin_progress(o);
	bound_data_blocks(o);
	return 0;
}

static void check_label(struct offline *o)
{
	u8 block[CDP_UNIT_SIZE] __attribute__((aligned(8)));
	const struct cdp_super *super = &o->walk.super;
	const char *wrong = "cannot be read";
	u64 units = (super->data_start + super->nr_data_blocks * super->block_sectors) / 8;

	if (!o->data.nr_units) {
		offline_finding(o, "data device", "%s is %llu bytes, not the data of a pool",
				o->data_path, o->data.bytes);
		return;
	}
	if (!cdp_image_read(&o->data, 0, 1, block))
		wrong = cdp_label_unpack(&o->label, block);
	if (!wrong)
		wrong = cdp_label_mismatch(&o->label, super);
	if (wrong) {
		offline_finding(o, "data device", "%s: %s", o->data_path, wrong);
		return;
	}
	o->has_data = true;
	if (o->data.nr_units < units)
		offline_finding(o, "data device", "%s has %llu units of 4 KiB, the pool needs %llu",
				o->data_path, o->data.nr_units, units);
}

int offline_open(struct offline *o, const char *metadata, const char *data)
{
	int r;

	memset(o, 0, sizeof(*o));
	o->metadata.fd = -1;
	o->data.fd = -1;
	o->metadata_path = metadata;
	o->data_path = data;
	o->findings = json_object_new_array();
	r = open_metadata(o);
	if (r || !data)
		return r;
	r = open_image(&o->data, data);
	if (!r && o->has_super)
		check_label(o);
	return r;
}

void offline_close(struct offline *o)
{
	unsigned int i;

	progress_end();
	for (i = 0; i < o->nr_volumes; i++)
		free(o->volumes[i].branches);
	free(o->volumes);
	free(o->marks);
	names_exit(&o->volume_names);
	names_exit(&o->mark_names);
	free(o->tail);
	cdp_walk_close(&o->walk);
	cdp_image_close(&o->metadata);
	cdp_image_close(&o->data);
	json_object_put(o->findings);
}

int offline_load(struct offline *o)
{
	int r;

	if (!o->has_super)
		return 0;
	r = off_catalog_load(o);
	if (!r)
		r = off_journal_load(o);
	return r ? fail_errno(r, "%s", o->metadata_path) : 0;
}
