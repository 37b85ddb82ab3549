// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does for the shell tests what would else take them a process each, which is slow
 * on an emulated machine: a command per line on stdin, an answer on stdout:
 *
 *	<0, or the error's number>\n<text>\0
 *
 * With arguments it does that one command and exits with 0 or 1.
 *
 *	create rw|ro <name> <sectors> <target> [<args>...]
 *	load rw|ro <name> <sectors> <target> [<args>...]
 *	suspend|suspend-noflush|resume|clear|remove|exists <name>
 *	defer <name>			remove it when its last user is gone
 *	message|node|status|table <name> [<words>...]
 *	events <name>			how many events there were
 *	lists <pool>			all that its list messages say
 *	put <device> <seed> <KiB> <KiB offset>		bytes that depend on the seed
 *	stomp <device>[,<device>...] <seed> <KiB> <span KiB> <file>
 *					put, again and again, over the span, while the
 *					file is there; says how often
 *	watch <device> <seeds> <KiB> <span KiB> <file>
 *					read, again and again while the file is there: is each
 *					4 KiB that of a put to there, of the first of so many seeds?
 *	holds <device> <seed> <KiB> <KiB offset>	is that what a put left there?
 *	zeroes <device> <KiB> <KiB offset>
 *	discard|zeroout <device> <bytes> <byte offset>
 *	flush <device>
 *	sum <device>			of all of it
 *	size <device>			sectors
 *	zero <device> <KiB>		writes zeroes from its start on
 *	copy <from> <to>
 *	flip <device> <byte offset>	a bit of that byte
 *	le64 <device> <byte offset>
 *	kmsg <text>
 *	said <text>			the kernel's log after that text
 *	failing <n> <command>...	the n-th allocation of the kernel for it fails:
 *					"<was there one> <error>"
 *	warnings			lines of the log that say something is wrong
 *	remove_all
 */
#define _GNU_SOURCE
#include "cdp_test.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libdevmapper.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <unistd.h>

enum {
	CHUNK		= 1 << 18,
	MAX_WORDS	= 128,
	TEXT_SIZE	= 1 << 18,
	LOG_SIZE	= 1 << 20,
	KIB		= 1024,
};

/* Their product is 1 modulo 2^64. */
#define SEED_FACTOR	0x9e3779b97f4a7c15ULL
#define SEED_INVERSE	0xf1de83e19937733dULL

static char text[TEXT_SIZE];
static char *buffer;
static char *other;

static void join(char *line, size_t size, char **words, int nr)
{
	size_t n = 0;

	line[0] = 0;
	for (; nr-- && n < size; words++)
		n += snprintf(line + n, size - n, "%s%s", n ? " " : "", *words);
}

static u64 number(const char *word)
{
	return strtoull(word, NULL, 10);
}

/*
 * Device-mapper
 */
static struct dm_task *task_for(int type, const char *name)
{
	char full[128];
	struct dm_task *task = dm_task_create(type);

	snprintf(full, sizeof(full), TEST_PREFIX "%s", name);
	if (!task || !dm_task_set_name(task, full))
		exit(1);
	return task;
}

static int finish(struct dm_task *task)
{
	int r = dm_task_run(task) ? 0 : dm_task_get_errno(task) ?: EIO;

	dm_task_destroy(task);
	return r;
}

static int do_create(char **w, int nr)
{
	struct dm_spec spec = { w[2], number(w[3]), w[4], !strcmp(w[1], "ro") };
	char params[1024];

	join(params, sizeof(params), w + 5, nr - 5);
	return -__dm_table(&spec, params);
}

static int do_load(char **w, int nr)
{
	struct dm_task *task = task_for(DM_DEVICE_RELOAD, w[2]);
	char params[1024];

	join(params, sizeof(params), w + 5, nr - 5);
	if (!strcmp(w[1], "ro"))
		dm_task_set_ro(task);
	dm_task_add_target(task, 0, number(w[3]), w[4], params);
	return finish(task);
}

static int simple_task(int type, const char *name)
{
	uint32_t cookie = 0;
	struct dm_task *task = task_for(type, name);

	if (type == DM_DEVICE_RESUME)
		dm_task_set_cookie(task, &cookie, DM_UDEV_DISABLE_LIBRARY_FALLBACK);
	return finish(task);
}

static int do_suspend(char **w, int nr)
{
	return simple_task(DM_DEVICE_SUSPEND, w[1]);
}

static int do_suspend_noflush(char **w, int nr)
{
	struct dm_task *task = task_for(DM_DEVICE_SUSPEND, w[1]);

	dm_task_no_flush(task);
	dm_task_skip_lockfs(task);
	return finish(task);
}

static int do_resume(char **w, int nr)
{
	return simple_task(DM_DEVICE_RESUME, w[1]);
}

static int do_clear(char **w, int nr)
{
	return simple_task(DM_DEVICE_CLEAR, w[1]);
}

static int do_remove(char **w, int nr)
{
	return -__dm_delete(w[1]);
}

static int do_defer(char **w, int nr)
{
	struct dm_task *task = task_for(DM_DEVICE_REMOVE, w[1]);

	dm_task_deferred_remove(task);
	return finish(task);
}

static int get_info(const char *name, struct dm_info *info)
{
	struct dm_task *task = task_for(DM_DEVICE_INFO, name);
	int r = dm_task_run(task) && dm_task_get_info(task, info) && info->exists ? 0 : ENXIO;

	dm_task_destroy(task);
	return r;
}

static int do_exists(char **w, int nr)
{
	struct dm_info info;

	return get_info(w[1], &info);
}

static int do_node(char **w, int nr)
{
	struct dm_info info;
	int r = get_info(w[1], &info);

	if (!r)
		sprintf(text, "/dev/dm-%u", info.minor);
	return r;
}

static int do_events(char **w, int nr)
{
	struct dm_info info;
	int r = get_info(w[1], &info);

	if (!r)
		sprintf(text, "%u", info.event_nr);
	return r;
}

static int do_message(char **w, int nr)
{
	char line[4096];
	size_t len;
	int r;

	join(line, sizeof(line), w + 2, nr - 2);
	r = -__dm_say(w[1], text, sizeof(text), "%s", line);
	len = strlen(text);
	if (len && text[len - 1] == '\n')
		text[len - 1] = 0;
	return r;
}

/* Adds an answer to the text. */
static int add_answer(const char *pool, const char *question, const char *volume)
{
	static char answer[TEXT_SIZE / 2];
	size_t n = strlen(text);
	int r = -__dm_say(pool, answer, sizeof(answer), "%s %s", question, volume);

	snprintf(text + n, sizeof(text) - n, "%s %s\n%s", question, volume, r ? "" : answer);
	return r;
}

static int do_lists(char **w, int nr)
{
	static char volumes[TEXT_SIZE / 2];
	char *line, *state, name[64];
	int r;

	r = -__dm_say(w[1], volumes, sizeof(volumes), "list_volumes");
	if (!r)
		r = add_answer(w[1], "list_volumes", "");
	if (!r)
		r = add_answer(w[1], "list_marks", "");
	for (line = strtok_r(volumes, "\n", &state); line && !r;
	     line = strtok_r(NULL, "\n", &state))
		if (sscanf(line, "%*u %63s", name) == 1)
			r = add_answer(w[1], "list_branches", name);
	return r;
}

static int table_or_status(int type, const char *name, const char *format)
{
	struct dm_task *task = task_for(type, name);
	uint64_t start, len;
	char *target, *params;
	int r = dm_task_run(task) ? 0 : ENXIO;

	if (!r) {
		dm_get_next_target(task, NULL, &start, &len, &target, &params);
		snprintf(text, sizeof(text), format, params ?: "", start, len, target);
	}
	dm_task_destroy(task);
	return r;
}

static int do_status(char **w, int nr)
{
	return table_or_status(DM_DEVICE_STATUS, w[1], "%s");
}

static int do_table(char **w, int nr)
{
	return table_or_status(DM_DEVICE_TABLE, w[1], "%2$" PRIu64 " %3$" PRIu64 " %4$s %1$s");
}

/*
 * Content
 */
static int open_device(const char *path, int flags, int *fd)
{
	*fd = open(path, flags | O_DIRECT | O_CLOEXEC);
	return *fd < 0 ? errno : 0;
}

static int close_device(int fd, int r)
{
	return close(fd) && !r ? errno : r;
}

static void pattern(char *bytes, size_t size, u64 seed, u64 offset)
{
	u64 *word = (u64 *)bytes, *end = (u64 *)(bytes + size);

	for (; word < end; word++, offset += sizeof(*word))
		*word = (seed + 1) * SEED_FACTOR + offset;
}

/* The seed that the pattern has there, if it is one. */
static u64 seed_at(const char *bytes, u64 offset)
{
	u64 word;

	memcpy(&word, bytes, sizeof(word));
	return (word - offset) * SEED_INVERSE - 1;
}

static ssize_t chunk_of(u64 size, u64 done)
{
	return size - done < CHUNK ? size - done : CHUNK;
}

/* All of it, so that what stops a short write shows its number. */
static int write_chunk(int fd, const char *bytes, ssize_t n, u64 at)
{
	while (n) {
		ssize_t done = pwrite(fd, bytes, n, at);

		if (done <= 0)
			return done ? errno : EIO;
		bytes += done;
		at += done;
		n -= done;
	}
	return 0;
}

static int put(const char *device, u64 seed, u64 size, u64 offset)
{
	int fd, r = open_device(device, O_WRONLY, &fd);
	u64 done;

	if (r)
		return r;
	for (done = 0; !r && done < size; done += CHUNK) {
		ssize_t n = chunk_of(size, done);

		pattern(buffer, n, seed, done);
		r = write_chunk(fd, buffer, n, offset + done);
	}
	return close_device(fd, r);
}

static int do_put(char **w, int nr)
{
	return put(w[1], number(w[2]), number(w[3]) * KIB, number(w[4]) * KIB);
}

/*
 * Work goes on while its file is there. Once it has begun there is another, which has the
 * process's number behind its name.
 */
static bool work_goes_on(const char *file)
{
	char begun[512];
	int fd;

	if (access(file, F_OK))
		return false;
	snprintf(begun, sizeof(begun), "%s.%d", file, getpid());
	fd = open(begun, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
	return true;
}

static int put_to_each(const char *devices, u64 seed, u64 size, u64 offset)
{
	char list[1024], *device, *state;
	int r = 0;

	snprintf(list, sizeof(list), "%s", devices);
	for (device = strtok_r(list, ",", &state); device && !r;
	     device = strtok_r(NULL, ",", &state))
		r = put(device, seed, size, offset);
	return r;
}

/*
 * After the first span a millisecond at least passes between puts: a quick machine must not
 * fill the pool while a slow test runs beside it.
 */
static int do_stomp(char **w, int nr)
{
	u64 seed = number(w[2]), size = number(w[3]), places = number(w[4]) / size, i;
	int r = 0;

	for (i = 0; !r && (i < places || work_goes_on(w[5])); i++) {
		if (i >= places)
			usleep(1000);
		r = put_to_each(w[1], seed + i, size * KIB, (seed + i) % places * size * KIB);
	}
	sprintf(text, "%" PRIu64, i);
	return r;
}

static int read_chunk(int fd, char *bytes, ssize_t n, u64 at)
{
	errno = 0;
	return pread(fd, bytes, n, at) == n ? 0 : errno ?: ENODATA;
}

/* What is at the place, of size bytes, is made of puts of it. */
static int check_place(int fd, u64 place, u64 places, u64 nr_seeds, u64 size)
{
	u64 done, at, seed;
	ssize_t n, i;
	int r;

	for (done = 0; done < size; done += CHUNK) {
		n = chunk_of(size, done);
		at = place * size + done;
		r = read_chunk(fd, buffer, n, at);
		if (r)
			return r;
		for (i = 0; i < n; i += 4096) {
			seed = seed_at(buffer + i, done + i);
			pattern(other, 4096, seed, done + i);
			if (seed < nr_seeds && seed % places == place && !memcmp(buffer + i, other, 4096))
				continue;
			fprintf(stderr, "at byte %" PRIu64 " is no put to there, but %" PRIu64 "\n",
				at + i, seed);
			return EILSEQ;
		}
	}
	return 0;
}

static int do_watch(char **w, int nr)
{
	u64 nr_seeds = number(w[2]), size = number(w[3]) * KIB, place, rounds = 0;
	u64 places = number(w[4]) * KIB / size;
	int fd, r = open_device(w[1], O_RDONLY, &fd);

	if (r)
		return r;
	do {
		for (place = 0; place < places && !r; place++)
			r = check_place(fd, place, places, nr_seeds, size);
		rounds++;
	} while (!r && work_goes_on(w[5]));
	sprintf(text, "%" PRIu64, rounds);
	return close_device(fd, r);
}

static int do_holds(char **w, int nr)
{
	u64 size = number(w[3]) * KIB, offset = number(w[4]) * KIB, done;
	int fd, r = open_device(w[1], O_RDONLY, &fd);

	if (r)
		return r;
	for (done = 0; !r && done < size; done += CHUNK) {
		ssize_t n = chunk_of(size, done);

		r = read_chunk(fd, buffer, n, offset + done);
		pattern(other, n, number(w[2]), done);
		if (!r && memcmp(buffer, other, n))
			r = EILSEQ;
	}
	return close_device(fd, r);
}

static int do_zeroes(char **w, int nr)
{
	u64 size = number(w[2]) * KIB, done;
	int fd, r = open_device(w[1], O_RDONLY, &fd);

	if (r)
		return r;
	memset(other, 0, CHUNK);
	for (done = 0; !r && done < size; done += CHUNK) {
		ssize_t n = chunk_of(size, done);

		r = read_chunk(fd, buffer, n, number(w[3]) * KIB + done);
		if (!r && memcmp(buffer, other, n))
			r = EILSEQ;
	}
	return close_device(fd, r);
}

static int do_flush(char **w, int nr)
{
	int fd, r = open_device(w[1], O_WRONLY, &fd);

	if (r)
		return r;
	if (fsync(fd))
		r = errno;
	return close_device(fd, r);
}

static int range_ioctl(char **w, unsigned long request)
{
	u64 range[2] = { number(w[3]), number(w[2]) };
	int fd, r = open_device(w[1], O_RDWR, &fd);

	if (r)
		return r;
	if (ioctl(fd, request, range))
		r = errno;
	return close_device(fd, r);
}

static int do_discard(char **w, int nr)
{
	return range_ioctl(w, BLKDISCARD);
}

static int do_zeroout(char **w, int nr)
{
	return range_ioctl(w, BLKZEROOUT);
}

static u64 sum_chunk(u64 sum, const char *bytes, size_t n)
{
	const u64 *word = (const u64 *)bytes, *end = (const u64 *)(bytes + n);

	for (; word < end; word++)
		sum = (sum ^ *word) * 0x100000001b3ULL + (sum >> 47);
	return sum;
}

static int do_sum(char **w, int nr)
{
	int fd, r = open_device(w[1], O_RDONLY, &fd);
	u64 sum = 1, at, size;

	if (r)
		return r;
	size = lseek(fd, 0, SEEK_END);
	for (at = 0; !r && at < size; at += CHUNK) {
		ssize_t n = chunk_of(size, at);

		r = read_chunk(fd, buffer, n, at);
		sum = sum_chunk(sum, buffer, n);
	}
	sprintf(text, "%016" PRIx64, sum);
	return close_device(fd, r);
}

static int do_size(char **w, int nr)
{
	int fd, r = open_device(w[1], O_RDONLY, &fd);

	if (r)
		return r;
	sprintf(text, "%" PRIu64, (u64)lseek(fd, 0, SEEK_END) / SECTOR_SIZE);
	return close_device(fd, r);
}

static int do_zero(char **w, int nr)
{
	u64 size = number(w[2]) * KIB, at;
	int fd, r = open_device(w[1], O_WRONLY, &fd);

	if (r)
		return r;
	memset(buffer, 0, CHUNK);
	for (at = 0; !r && at < size; at += CHUNK) {
		ssize_t n = chunk_of(size, at);

		r = write_chunk(fd, buffer, n, at);
	}
	return close_device(fd, r);
}

/* The source may be a file in tmpfs, which knows no O_DIRECT. */
static int do_copy(char **w, int nr)
{
	int from = open(w[1], O_RDONLY | O_CLOEXEC);
	int to = open(w[2], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ssize_t n = 0;
	u64 at = 0;
	int r;

	if (from < 0 || to < 0)
		return errno;
	while ((n = pread(from, buffer, CHUNK, at)) > 0 && pwrite(to, buffer, n, at) == n)
		at += n;
	r = n ? errno : 0;
	close(from);
	if (fsync(to) && !r)
		r = errno;
	return close_device(to, r);
}

static int do_flip(char **w, int nr)
{
	u64 at = number(w[2]), base = at & ~4095ULL;
	int fd, r = open_device(w[1], O_RDWR, &fd);

	if (r)
		return r;
	r = read_chunk(fd, buffer, 4096, base);
	buffer[at - base] ^= 0x40;
	if (!r && pwrite(fd, buffer, 4096, base) != 4096)
		r = errno;
	return close_device(fd, r);
}

static int do_le64(char **w, int nr)
{
	u64 at = number(w[2]), base = at & ~4095ULL, value;
	int fd, r = open_device(w[1], O_RDONLY, &fd);

	if (r)
		return r;
	r = read_chunk(fd, buffer, 4096, base);
	memcpy(&value, buffer + (at - base), sizeof(value));
	sprintf(text, "%" PRIu64, (u64)le64toh(value));
	return close_device(fd, r);
}

/*
 * The kernel's log
 */
static char *kernel_log(void)
{
	static char *log;
	int n;

	if (!log)
		log = malloc(LOG_SIZE + 1);
	n = klogctl(3, log, LOG_SIZE);
	log[n > 0 ? n : 0] = 0;
	return log;
}

static int do_kmsg(char **w, int nr)
{
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	char line[128];
	int n, r = 0;

	if (fd < 0)
		return errno;
	n = snprintf(line, sizeof(line), "<6>%s\n", w[1]);
	if (write(fd, line, n) != n)
		r = errno;
	close(fd);
	return r;
}

static int do_said(char **w, int nr)
{
	char *at = kernel_log(), *found = NULL;

	while ((at = strstr(at, w[1])))
		found = ++at;
	snprintf(text, sizeof(text), "%s", found ? strchrnul(found, '\n') : "");
	return 0;
}

static int do_warnings(char **w, int nr)
{
	static const char * const bad[] = { "WARNING:", "BUG:", "KASAN", "UBSAN", "Oops",
		"general protection", "blocked for more", "possible recursive",
		"possible circular", "refcount_t", "INFO: rcu", "scheduling while atomic" };
	unsigned int i, n = 0;
	char *at;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		for (at = kernel_log(); (at = strstr(at, bad[i])); at++)
			n++;
	sprintf(text, "%u", n);
	return 0;
}

static int do_remove_all(char **w, int nr)
{
	return dm_delete_all() ? EBUSY : 0;
}

static int do_failing(char **w, int nr);

static const struct command {
	const char *name;
	int words;		/* at least, itself included */
	int (*run)(char **w, int nr);
} commands[] = {
	{ "create", 5, do_create },	{ "load", 5, do_load },
	{ "suspend", 2, do_suspend },	{ "suspend-noflush", 2, do_suspend_noflush },
	{ "resume", 2, do_resume },	{ "clear", 2, do_clear },
	{ "remove", 2, do_remove },	{ "defer", 2, do_defer },
	{ "exists", 2, do_exists },	{ "node", 2, do_node },
	{ "events", 2, do_events },	{ "message", 2, do_message },
	{ "status", 2, do_status },	{ "table", 2, do_table },
	{ "lists", 2, do_lists },
	{ "put", 5, do_put },		{ "stomp", 6, do_stomp },
	{ "holds", 5, do_holds },	{ "zeroes", 4, do_zeroes },
	{ "flush", 2, do_flush },	{ "sum", 2, do_sum },
	{ "size", 2, do_size },		{ "zero", 3, do_zero },
	{ "copy", 3, do_copy },		{ "flip", 3, do_flip },
	{ "le64", 3, do_le64 },		{ "kmsg", 2, do_kmsg },
	{ "said", 2, do_said },		{ "warnings", 1, do_warnings },
	{ "watch", 6, do_watch },	{ "failing", 3, do_failing },
	{ "discard", 4, do_discard },	{ "zeroout", 4, do_zeroout },
	{ "remove_all", 1, do_remove_all },
};

static int run(char **words, int nr)
{
	unsigned int i;

	text[0] = 0;
	errno = 0;
	for (i = 0; nr && i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, words[0]) && nr >= commands[i].words)
			return commands[i].run(words, nr);
	return ENOSYS;
}

/*
 * The kernel counts down in fail-nth: what is left says whether there were so many.
 */
static int do_failing(char **w, int nr)
{
	int fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC), r;
	char left[16] = "";

	if (fd < 0)
		return errno;
	if (pwrite(fd, w[1], strlen(w[1]), 0) < 0)
		r = -1;
	else
		r = run(w + 2, nr - 2);
	if (pread(fd, left, sizeof(left) - 1, 0) <= 0 || pwrite(fd, "0", 1, 0) < 0 || r < 0) {
		close(fd);
		return EIO;
	}
	close(fd);
	sprintf(text, "%d %d", !number(left), r);
	return 0;
}

static int run_line(char *line)
{
	char *words[MAX_WORDS], *word;
	int nr = 0, r;

	for (word = strtok(line, " \n"); word && nr < MAX_WORDS; word = strtok(NULL, " \n"))
		words[nr++] = word;
	r = run(words, nr);
	if (r && !text[0])
		snprintf(text, sizeof(text), "%s", strerror(r));
	printf("%d\n%s", r, text);
	putchar(0);
	fflush(stdout);
	return r;
}

int main(int argc, char **argv)
{
	size_t size = 0;
	char *line = NULL;
	int r = 0;

	dm_be_quiet();
	buffer = block_buffer(CHUNK);
	other = block_buffer(CHUNK);
	if (argc > 1) {
		r = run(argv + 1, argc - 1);
		if (r)
			fprintf(stderr, "%s: %s\n", argv[1], strerror(r));
		else if (text[0])
			puts(text);
		return r ? 1 : 0;
	}
	while (getline(&line, &size, stdin) > 0)
		r = run_line(line);
	return 0;
}
