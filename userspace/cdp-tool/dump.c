// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "document.h"
#include "offline.h"
#include "tool.h"
#include "verbs.h"

#define UNUSED __attribute__((unused))

struct dump {
	struct offline o;		/* first: the visitors' context */
	bool versions, records, space;
	u64 run_start, run_end;		/* of used blocks */
};

static const char *const record_names[] = {
	[CDP_REC_WRITE] = "write", [CDP_REC_CREATE] = "create", [CDP_REC_DELETE] = "delete",
	[CDP_REC_REVERT] = "revert", [CDP_REC_MARK] = "mark", [CDP_REC_UNMARK] = "unmark",
};

static void uuid_text(char text[37], const u8 uuid[16])
{
	int i, n = 0;

	for (i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			text[n++] = '-';
		n += sprintf(text + n, "%02x", uuid[i]);
	}
}

/* A number, in both outputs. */
static void show(json_object *o, const char *key, u64 value)
{
	print("  %-20s %llu\n", key, value);
	json_add_number(o, key, value);
}

static void dump_super(struct dump *d)
{
	const struct cdp_super *s = &d->o.walk.super;
	json_object *o = json_object_new_object();
	char uuid[37];

	uuid_text(uuid, s->uuid);
	print("superblock\n  %-20s %s\n", "uuid", uuid);
	json_add_text(o, "uuid", uuid);
	show(o, "compat", s->compat);
	show(o, "generation", s->generation);
	show(o, "time", s->time);
	show(o, "journal_seq", s->journal_seq);
	show(o, "block_sectors", s->block_sectors);
	show(o, "next_volume", s->next_volume);
	show(o, "data_start", s->data_start);
	show(o, "nr_data_blocks", s->nr_data_blocks);
	show(o, "nr_metadata_blocks", s->nr_metadata_blocks);
	show(o, "journal_blocks", s->journal_blocks);
	show(o, "used_data_blocks", s->used_data_blocks);
	show(o, "tree_root", s->tree_root);
	show(o, "tree_entries", s->tree_entries);
	show(o, "tree_leaves", s->tree_leaves);
	show(o, "tree_depth", s->tree_depth);
	show(o, "nr_marks", s->nr_marks);
	show(o, "volumes_root", s->volumes_root);
	show(o, "branches_root", s->branches_root);
	show(o, "marks_root", s->marks_root);
	show(o, "space_root", s->space_root);
	document_add("superblock", o);
}

static void dump_label(struct dump *d)
{
	const struct cdp_label *l = &d->o.label;
	json_object *o = json_object_new_object();
	char uuid[37];

	if (!d->o.has_data) {
		json_object_put(o);
		return;
	}
	uuid_text(uuid, l->uuid);
	print("label\n  %-20s %s\n", "uuid", uuid);
	json_add_text(o, "uuid", uuid);
	show(o, "block_sectors", l->block_sectors);
	show(o, "data_start", l->data_start);
	show(o, "journal_blocks", l->journal_blocks);
	document_add("label", o);
}

static json_object *branches_json(const struct off_volume *v)
{
	json_object *list = json_object_new_array(), *o;
	unsigned int i;

	for (i = 0; i < v->nr_branches; i++) {
		print("  branch %u start %llu revert_to %llu\n", i, v->branches[i].start,
		      v->branches[i].revert_to);
		o = json_object_new_object();
		json_add_number(o, "start", v->branches[i].start);
		json_add_number(o, "revert_to", v->branches[i].revert_to);
		json_object_array_add(list, o);
	}
	return list;
}

static void dump_volumes(struct dump *d)
{
	unsigned int i;
	json_object *o;

	document_list("volumes");
	for (i = 0; i < d->o.nr_volumes; i++) {
		const struct off_volume *v = &d->o.volumes[i];

		print("volume %u %s sectors %llu created %llu%s\n", v->id, v->name, v->nr_sectors,
		      v->created, v->deleted ? " deleted" : "");
		o = json_object_new_object();
		json_add_number(o, "id", v->id);
		json_add_text(o, "name", v->name);
		json_add_number(o, "sectors", v->nr_sectors);
		json_add_number(o, "created", v->created);
		json_add_bool(o, "deleted", v->deleted);
		json_add(o, "branches", branches_json(v));
		document_item(o);
	}
}

static void dump_marks(struct dump *d)
{
	json_object *o, *volumes;
	unsigned int i, k;

	document_list("marks");
	for (i = 0; i < d->o.nr_marks; i++) {
		const struct off_mark *m = &d->o.marks[i];

		print("mark %llu %s%s", m->time, m->name, m->nr_volumes ? "" : " *");
		volumes = json_object_new_array();
		for (k = 0; k < m->nr_volumes; k++) {
			print(" %u", m->volumes[k]);
			json_object_array_add(volumes, json_object_new_uint64(m->volumes[k]));
		}
		print("\n");
		o = json_object_new_object();
		json_add_number(o, "time", m->time);
		json_add_text(o, "name", m->name);
		json_add(o, "volumes", volumes);
		document_item(o);
	}
}

static json_object *version_json(const struct cdp_version *v)
{
	json_object *o = json_object_new_object();

	json_add_number(o, "volume", cdp_hi_volume(v->hi));
	json_add_number(o, "level", cdp_hi_level(v->hi));
	json_add_number(o, "lba", cdp_hi_lba(v->hi));
	json_add_number(o, "time", v->time);
	json_add_number(o, "block", v->pblock);
	json_add_bool(o, "tombstone", v->flags & CDP_TOMBSTONE);
	return o;
}

static int visit_version(UNUSED void *context, const struct cdp_version *v)
{
	print("version volume %u level %u lba %llu time %llu ", cdp_hi_volume(v->hi),
	      cdp_hi_level(v->hi), cdp_hi_lba(v->hi), v->time);
	if (v->flags & CDP_TOMBSTONE)
		print("tombstone\n");
	else
		print("block %llu\n", v->pblock);
	if (tool.json)
		document_item(version_json(v));
	return 0;
}

static int visit_record(UNUSED struct offline *o, u64 seq, const struct cdp_record *r)
{
	json_object *json;

	print("record %llu %s volume %u time %llu", seq, record_names[r->type], r->volume, r->time);
	if (r->type == CDP_REC_WRITE)
		print(" level %u lba %llu %s %llu", cdp_hi_level(r->hi), cdp_hi_lba(r->hi),
		      r->flags & CDP_TOMBSTONE ? "tombstone" : "block", r->pblock);
	if (r->type == CDP_REC_REVERT)
		print(" revert_to %llu", r->revert_to);
	if (*r->name)
		print(" name %s", r->name);
	print("\n");
	if (!tool.json)
		return 0;
	json = json_object_new_object();
	json_add_number(json, "seq", seq);
	json_add_text(json, "type", record_names[r->type]);
	json_add_number(json, "volume", r->volume);
	json_add_number(json, "time", r->time);
	if (r->type == CDP_REC_WRITE) {
		struct cdp_version v = { .hi = r->hi, .time = r->time, .pblock = r->pblock,
					 .flags = r->flags };

		json_add(json, "version", version_json(&v));
	}
	if (r->type == CDP_REC_REVERT)
		json_add_number(json, "revert_to", r->revert_to);
	if (*r->name)
		json_add_text(json, "name", r->name);
	document_item(json);
	return 0;
}

static void end_run(struct dump *d)
{
	json_object *o;

	if (d->run_end == d->run_start)
		return;
	print("used %llu %llu\n", d->run_start, d->run_end - d->run_start);
	o = json_object_new_object();
	json_add_number(o, "block", d->run_start);
	json_add_number(o, "nr", d->run_end - d->run_start);
	document_item(o);
}

static int visit_word(void *context, u64 index, u64 word)
{
	struct dump *d = context;
	unsigned int i;

	for (i = 0; i < 64; i++) {
		u64 block = index * 64 + i;

		if (!(word >> i & 1))
			continue;
		if (d->run_end != block) {
			end_run(d);
			d->run_start = block;
		}
		d->run_end = block + 1;
	}
	return 0;
}

static int dump_all(struct dump *d)
{
	int r;

	dump_super(d);
	dump_label(d);
	if (d->records) {
		document_list("records");
		d->o.record = visit_record;
	}
	r = offline_load(&d->o);
	if (r)
		return r;
	dump_volumes(d);
	dump_marks(d);
	if (d->o.has_data) {
		print("journal %llu to %llu\n", d->o.walk.super.journal_seq, d->o.ring.end);
		document_add("journal_end", json_object_new_uint64(d->o.ring.end));
	}
	if (d->versions) {
		document_list("versions");
		r = cdp_walk_versions(&d->o.walk, visit_version);
	}
	if (!r && d->space) {
		document_list("used");
		r = cdp_walk_space(&d->o.walk, visit_word);
		end_run(d);
	}
	return r ? fail_errno(r, "%s", d->o.metadata_path) : 0;
}

int dump_main(int argc, char **argv)
{
	struct dump dump = { 0 };
	const struct option_spec specs[] = {
		{ .name = "versions", .flag = &dump.versions },
		{ .name = "records", .flag = &dump.records },
		{ .name = "space", .flag = &dump.space }, { .name = NULL }
	};
	int r, nr;

	r = options_parse(argc, argv, specs, 1, 2, &nr);
	if (!r && dump.records && nr < 2)
		r = usage_error("--records are on the data device, which is not named");
	if (r)
		return r;
	document_begin();
	r = offline_open(&dump.o, argv[0], nr == 2 ? argv[1] : NULL);
	if (!r && dump.o.has_super)
		r = dump_all(&dump);
	if (!r && dump.o.nr_findings)
		r = EXIT_FAILED;
	offline_add_findings(&dump.o);
	document_end();
	offline_close(&dump.o);
	return r;
}
