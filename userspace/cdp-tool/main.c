// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/array_size.h>
#include <stdio.h>
#include <string.h>

#include "control.h"
#include "tool.h"
#include "verbs.h"

static const struct verb verbs[] = {
	{ "pool", "create", pool_create_main,
	  "<pool> --metadata DEV --data DEV [--block-size SIZE] [--journal SIZE]\n"
	  "       [--checkpoint-extents N] [--checkpoint-ms N] [--force]",
	  "Format two devices as a pool and open it. Refuses devices that are in use, and\n"
	  "without --force such as hold something.",
	  "cdp-tool pool create tank --metadata /dev/sdb1 --data /dev/sdc" },
	{ "pool", "open", pool_open_main,
	  "<pool> --metadata DEV --data DEV [--checkpoint-extents N] [--checkpoint-ms N]",
	  "Open a pool that exists, after a reboot or a crash.",
	  "cdp-tool pool open tank --metadata /dev/sdb1 --data /dev/sdc" },
	{ "pool", "close", pool_close_main, "<pool>",
	  "Close the views, the volumes and the pool. Refuses while one of them is in use.",
	  "cdp-tool pool close tank" },
	{ "pool", "status", pool_status_main, "[<pool>]",
	  "How full the pool is, and how it is.",
	  "cdp-tool pool status tank" },
	{ "volume", "create", volume_create_main, "<pool>/<volume> SIZE [--open]",
	  "Make an empty volume, and with --open its block device.",
	  "cdp-tool volume create tank/vm 10G --open" },
	{ "volume", "delete", volume_delete_main, "<pool>/<volume>",
	  "Delete a volume with all of its history. This cannot be undone.",
	  "cdp-tool volume delete tank/vm" },
	{ "volume", "list", volume_list_main, "<pool>",
	  "The volumes of a pool.",
	  "cdp-tool volume list tank" },
	{ "volume", "status", volume_status_main, "<pool>/<volume>",
	  "One volume: size, device, branches, who holds it.",
	  "cdp-tool volume status tank/vm" },
	{ "volume", "open", volume_open_main, "<pool>/<volume>",
	  "Make the block device /dev/mapper/<pool>-<volume>.",
	  "cdp-tool volume open tank/vm" },
	{ "volume", "close", volume_close_main, "<pool>/<volume>",
	  "Remove the block device again; the data stay. Refuses while it is in use.",
	  "cdp-tool volume close tank/vm" },
	{ NULL, "mark", mark_main, "<pool> <mark> [<volume>...]",
	  "Give this instant a name, for some volumes or for all of them.",
	  "cdp-tool mark tank before-upgrade" },
	{ NULL, "unmark", unmark_main, "<pool> <mark>",
	  "Forget a mark. The instant itself stays.",
	  "cdp-tool unmark tank before-upgrade" },
	{ NULL, "revert", revert_main, "<pool>/<volume> --to INSTANT [--dry-run]",
	  "Take a volume back to an instant. Nothing is lost: what came after stays and\n"
	  "can be reverted to in its turn. The volume must not be in use; --dry-run tells\n"
	  "by whom it is.",
	  "cdp-tool revert tank/vm --to -5min --dry-run" },
	{ "view", "open", view_open_main,
	  "<pool>/<volume> --at INSTANT [--name NAME] [--mount DIR [--no-replay]]",
	  "Show a volume as it was, as a read-only block device; with --mount, mount it\n"
	  "read-only. The file system replays its journal in memory, unless --no-replay.",
	  "cdp-tool view open tank/vm --at before-upgrade --mount /mnt" },
	{ "view", "close", view_close_main, "<view>|DIR",
	  "Remove a view; given the directory where it is mounted, unmount it first.",
	  "cdp-tool view close /mnt" },
	{ "view", "list", view_list_main, "[<pool>]",
	  "The views that are open.",
	  "cdp-tool view list" },
	{ NULL, "log", log_main, "<pool>[/<volume>] [--since INSTANT] [--until INSTANT]",
	  "What happened, in order: volumes, marks, reverts.",
	  "cdp-tool log tank/vm --since -2d" },
	{ NULL, "check", check_main, "<metadata> [<data>]",
	  "Verify the devices of a closed pool, or images of them. Needs no kernel module.\n"
	  "Exits 0 if they are sound and 1 if they are damaged, each finding on a line.",
	  "cdp-tool check /dev/sdb1 /dev/sdc" },
	{ NULL, "dump", dump_main,
	  "<metadata> [<data>] [--versions] [--records] [--space]",
	  "Print what the devices of a closed pool, or images of them, hold.",
	  "cdp-tool dump metadata.img data.img --records" },
};

enum { NR_VERBS = ARRAY_SIZE(verbs) };

static void print_usage(const struct verb *v)
{
	printf("  cdp-tool %s%s%s%s%s\n", v->noun ? v->noun : "", v->noun ? " " : "", v->name,
	       *v->arguments ? " " : "", v->arguments);
}

static bool in_group(const struct verb *v, const char *noun)
{
	return !noun || (v->noun && !strcmp(v->noun, noun));
}

static int print_help(const char *noun)
{
	int i;

	printf("Usage: cdp-tool [--json] [--quiet] <verb> ...\n"
	       "       cdp-tool --version\n\n");
	for (i = 0; i < NR_VERBS; i++)
		if (in_group(&verbs[i], noun))
			print_usage(&verbs[i]);
	printf("\nINSTANT: now, -5min, -1h30m, 14:03, '2026-11-21 14:03:22.5',\n"
	       "2026-11-21T14:03:22Z, '2026-11-21 14:03:22+0100',\n"
	       "us:<microseconds since 1970>, @<mark> or <mark>. SIZE: 10G, 512M, 1TiB.\n"
	       "'cdp-tool <verb> --help' shows an example of each; cdp-tool(8) tells all.\n");
	return EXIT_OK;
}

static int print_version(void)
{
	json_object *result = json_object_new_object();

	print("cdp-tool %s\n", CDP_VERSION);
	json_add_text(result, "version", CDP_VERSION);
	return done(result);
}

static int print_verb_help(const struct verb *v)
{
	printf("Usage:\n");
	print_usage(v);
	printf("\n%s\n\nExample:\n  %s\n", v->help, v->example);
	return EXIT_OK;
}

static bool is_help(const char *word)
{
	return !strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help");
}

static bool wants_help(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc && strcmp(argv[i], "--"); i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return true;
	return false;
}

/* Matches "noun name" or "name"; *used is how many words that was. */
static const struct verb *find_verb(int argc, char **argv, int *used)
{
	int i;

	for (i = 0; i < NR_VERBS; i++) {
		const struct verb *v = &verbs[i];

		*used = v->noun ? 2 : 1;
		if (argc < *used || strcmp(argv[*used - 1], v->name))
			continue;
		if (!v->noun || !strcmp(argv[0], v->noun))
			return v;
	}
	return NULL;
}

static const char *known_noun(const char *word)
{
	int i;

	for (i = 0; i < NR_VERBS; i++)
		if (verbs[i].noun && !strcmp(verbs[i].noun, word))
			return word;
	return NULL;
}

static int no_verb(int argc, char **argv)
{
	const char *noun = argc ? known_noun(argv[0]) : NULL;

	if (!argc) {
		print_help(NULL);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[0], "--version"))
		return print_version();
	if (is_help(argv[0]))
		return print_help(argc > 1 ? known_noun(argv[1]) : NULL);
	if (noun && argc > 1 && is_help(argv[1]))
		return print_help(noun);
	return fail(EXIT_USAGE, "there is no verb '%s%s%s'; 'cdp-tool --help' lists them", argv[0],
		    noun && argc > 1 ? " " : "", noun && argc > 1 ? argv[1] : "");
}

static int run(int argc, char **argv)
{
	int used;

	for (; argc; argc--, argv++) {
		if (!strcmp(argv[0], "--json"))
			tool.json = true;
		else if (!strcmp(argv[0], "--quiet") || !strcmp(argv[0], "-q"))
			tool.quiet = true;
		else
			break;
	}
	tool.verb = find_verb(argc, argv, &used);
	if (!tool.verb)
		return no_verb(argc, argv);
	if (wants_help(argc - used + 1, argv + used - 1))
		return print_verb_help(tool.verb);
	cdp_control_init();
	return tool.verb->main(argc - used + 1, argv + used - 1);
}

int main(int argc, char **argv)
{
	int r = run(argc - 1, argv + 1);
	bool lost = ferror(stdout);

	/* What is buffered may still find no room. */
	errno = 0;
	if (!fclose(stdout) && !lost)
		return r;
	fprintf(stderr, "cdp-tool: not all of the output could be written%s%s\n",
		errno ? ": " : "", errno ? strerror(errno) : "");
	return r ? r : EXIT_FAILED;
}
