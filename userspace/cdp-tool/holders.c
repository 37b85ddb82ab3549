// SPDX-License-Identifier: GPL-2.0-only
#include "holders.h"

#include <ctype.h>
#include <dirent.h>
#include <mntent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { PATH_SIZE = 512, LINE_SIZE = 4096 };

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

/* \040 and the like, as /proc writes blanks. */
static void unescape(char *text)
{
	char *to = text;

	for (; *text; to++) {
		if (text[0] == '\\' && isdigit((unsigned char)text[1]) &&
		    isdigit((unsigned char)text[2]) && isdigit((unsigned char)text[3])) {
			*to = (text[1] - '0') * 64 + (text[2] - '0') * 8 + text[3] - '0';
			text += 4;
		} else {
			*to = *text++;
		}
	}
	*to = '\0';
}

/* <id> <parent> <major>:<minor> <root> <directory> ... */
static void find_mounts(json_object *holders, u32 major, u32 minor)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[LINE_SIZE], directory[LINE_SIZE];
	unsigned int a, b;

	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*d %*d %u:%u %*s %4095s", &a, &b, directory) != 3 ||
		    a != major || b != minor)
			continue;
		unescape(directory);
		add(holders, "mounted at %s", directory);
	}
	fclose(f);
}

static bool is_device(const char *path, u32 major, u32 minor)
{
	struct stat st;

	return !stat(path, &st) && S_ISBLK(st.st_mode) && st.st_rdev == makedev(major, minor);
}

static void find_swap(json_object *holders, u32 major, u32 minor)
{
	FILE *f = fopen("/proc/swaps", "re");
	char line[LINE_SIZE], path[LINE_SIZE];

	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%4095s", path) != 1)
			continue;
		unescape(path);
		if (is_device(path, major, minor))
			add(holders, "swap");
	}
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

static void find_stacked(json_object *holders, u32 major, u32 minor)
{
	char path[PATH_SIZE];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/holders", major, minor);
	dir = opendir(path);
	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			add_stacked(holders, entry->d_name);
	closedir(dir);
}

static bool has_open(const char *pid, u32 major, u32 minor)
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
		found = isdigit((unsigned char)entry->d_name[0]) && is_device(path, major, minor);
	}
	closedir(dir);
	return found;
}

static void find_processes(json_object *holders, u32 major, u32 minor)
{
	char path[PATH_SIZE], name[LINE_SIZE];
	DIR *dir = opendir("/proc");
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]) || atoi(entry->d_name) == getpid() ||
		    !has_open(entry->d_name, major, minor))
			continue;
		snprintf(path, sizeof(path), "/proc/%.16s/comm", entry->d_name);
		read_line(path, name, sizeof(name));
		add(holders, "process %s (%s)", entry->d_name, name);
	}
	closedir(dir);
}

json_object *holders_find(u32 major, u32 minor)
{
	json_object *holders = json_object_new_array();

	find_mounts(holders, major, minor);
	find_swap(holders, major, minor);
	find_stacked(holders, major, minor);
	find_processes(holders, major, minor);
	return holders;
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
