// SPDX-License-Identifier: GPL-2.0-only
#include "holders.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devnode.h"
#include "mountinfo.h"
#include "tool.h"

enum { PATH_SIZE = 512, LINE_SIZE = 4096, WAIT_TRIES = 10, WAIT_US = 200000 };

static void __attribute__((format(printf, 2, 3)))
add(struct json_object *holders, const char *format, ...)
{
	char *text;
	va_list args;
	int len;

	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	if (len < 0)
		return;
	json_object_array_add(holders, json_object_new_string(text));
	free(text);
}

/* The first line of a small file, without its end; empty if there is none. */
static void read_line(const char *path, char *line, size_t size)
{
	FILE *f = fopen(path, "re");

	line[0] = '\0';
	if (!f)
		return;
	if (fgets(line, size, f))
		line[strcspn(line, "\n")] = '\0';
	fclose(f);
}

/*
 * Who is looked for, and where the texts go.
 */
struct search {
	json_object *holders;
	u32 major, minor;
	const struct holders_known *known;
	bool readers;
};

static bool visit_mount(void *context, const struct mountpoint *m)
{
	const struct search *s = context;

	if (mountpoint_on(m, s->major, s->minor) &&
	    (!s->known->directory || strcmp(m->directory, s->known->directory)))
		add(s->holders, "mounted at %s", m->directory);
	return false;
}

static void find_swap(const struct search *s)
{
	FILE *f = fopen("/proc/swaps", "re");
	char line[LINE_SIZE], path[LINE_SIZE];

	if (!f)
		return;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%4095s", path) == 1 && devnode_is(path, s->major, s->minor))
			add(s->holders, "swap");
	fclose(f);
}

static void add_stacked(json_object *holders, const char *kernel_name)
{
	char path[PATH_SIZE], name[LINE_SIZE];

	snprintf(path, sizeof(path), "/sys/class/block/%s/dm/name", kernel_name);
	read_line(path, name, sizeof(name));
	if (*name)
		add(holders, "device %s (%s)", name, kernel_name);
	else
		add(holders, "device %s", kernel_name);
}

static void find_stacked(const struct search *s)
{
	char path[PATH_SIZE];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/holders", s->major,
		 s->minor);
	dir = opendir(path);
	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			add_stacked(s->holders, entry->d_name);
	closedir(dir);
}

/* A loop device on the device; it does not count as stacked. */
static void find_loops(const struct search *s)
{
	char path[PATH_SIZE], file[LINE_SIZE];
	DIR *dir = opendir("/sys/block");
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, "loop", 4))
			continue;
		snprintf(path, sizeof(path), "/sys/block/%.32s/loop/backing_file", entry->d_name);
		read_line(path, file, sizeof(file));
		if (*file && devnode_is(file, s->major, s->minor))
			add(s->holders, "loop device %s", entry->d_name);
	}
	closedir(dir);
}

static bool may_write(const char *pid, const char *fd)
{
	char path[PATH_SIZE], line[LINE_SIZE];
	unsigned int flags = O_RDONLY;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.16s/fdinfo/%.16s", pid, fd);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f) && sscanf(line, "flags: %o", &flags) != 1)
		;
	fclose(f);
	return (flags & O_ACCMODE) != O_RDONLY;
}

static bool has_open(const struct search *s, const char *pid)
{
	char path[PATH_SIZE];
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%.16s/fd", pid);
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%.16s/fd/%.16s", pid, entry->d_name);
		found = isdigit((unsigned char)entry->d_name[0]) &&
			devnode_is(path, s->major, s->minor) &&
			(s->readers || may_write(pid, entry->d_name));
	}
	closedir(dir);
	return found;
}

static void find_processes(const struct search *s)
{
	char path[PATH_SIZE], name[LINE_SIZE];
	DIR *dir = opendir("/proc");
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]) || atoi(entry->d_name) == getpid() ||
		    !has_open(s, entry->d_name))
			continue;
		snprintf(path, sizeof(path), "/proc/%.16s/comm", entry->d_name);
		read_line(path, name, sizeof(name));
		add(s->holders, "process %s (%s)", entry->d_name, name);
	}
	closedir(dir);
}

static json_object *find(u32 major, u32 minor, const struct holders_known *known, bool readers)
{
	static const struct holders_known nobody;
	struct search s = {
		.holders = json_object_new_array(), .major = major, .minor = minor,
		.known = known ? known : &nobody, .readers = readers,
	};

	mountinfo_visit(visit_mount, &s);
	find_swap(&s);
	if (!s.known->stacked)
		find_stacked(&s);
	find_loops(&s);
	find_processes(&s);
	return s.holders;
}

json_object *holders_find(u32 major, u32 minor, const struct holders_known *known)
{
	return find(major, minor, known, true);
}

bool holders_stay(u32 major, u32 minor, const struct holders_known *known)
{
	json_object *holders = find(major, minor, known, false);
	bool any = json_object_array_length(holders);

	json_object_put(holders);
	return any;
}

bool holders_wait(u32 major, u32 minor, const struct holders_known *known, int *tries)
{
	if (*tries == WAIT_TRIES || holders_stay(major, minor, known))
		return false;
	++*tries;
	usleep(WAIT_US);
	return true;
}

char *holders_text(json_object *holders)
{
	size_t i, nr = json_object_array_length(holders), size = 1;
	char *text;

	for (i = 0; i < nr; i++)
		size += strlen(json_object_get_string(json_object_array_get_idx(holders, i))) + 2;
	text = calloc(1, size);
	for (i = 0; text && i < nr; i++) {
		if (i)
			strcat(text, ", ");
		strcat(text, json_object_get_string(json_object_array_get_idx(holders, i)));
	}
	return text;
}

/* Where only those are found that are known, they are better than nobody. */
static json_object *find_culprits(u32 major, u32 minor, const struct holders_known *known)
{
	const struct holders_known mounted = { .directory = known ? known->directory : NULL };
	json_object *holders = holders_find(major, minor, known);

	if (json_object_array_length(holders))
		return holders;
	json_object_put(holders);
	return holders_find(major, minor, &mounted);
}

int fail_held(u32 major, u32 minor, const struct holders_known *known, const char *format, ...)
{
	json_object *holders = find_culprits(major, minor, known);
	char *text = holders_text(holders), *what = NULL;
	va_list args;
	int r;

	va_start(args, format);
	if (vasprintf(&what, format, args) < 0)
		what = NULL;
	va_end(args);
	r = fail(EXIT_BUSY, "%s: %s", what ? what : "in use",
		 text && *text ? text : HOLDERS_UNKNOWN);
	free(what);
	free(text);
	json_object_put(holders);
	return r;
}
