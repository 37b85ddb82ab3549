// SPDX-License-Identifier: GPL-2.0-only
/*
 * The file system itself: files that hold memory, before any of them is frozen.
 *
 *	hotsnap_files <module file>
 */
#define _GNU_SOURCE
#include "hotsnap_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif

#define MODULE_NAME	"kvm_hotsnap"

enum {
	PAGES	= 64,
};

static const char *module_file;

static struct stat stat_of(int fd)
{
	struct stat st;

	TEST_ASSERT(!fstat(fd, &st), "no stat");
	return st;
}

static struct stat stat_path(const char *path)
{
	struct stat st;

	TEST_ASSERT(!stat(path, &st), "no stat of %s", path);
	return st;
}

static void new_file(void)
{
	struct memory m;
	u8 buffer[PAGE];

	memory_new(&m, "file", PAGES);
	TEST_ASSERT(stat_of(m.fd).st_size == PAGES * PAGE, "size");
	expect_pages(m.fd, 0, 1);
	TEST_ASSERT(page_reads(m.fd, PAGES - 1, 0), "the last page is not empty");
	TEST_ASSERT(!__page_read(m.fd, PAGES, buffer), "something behind the end");
	TEST_ASSERT(page_holds(m.map + 5 * PAGE, 0), "the mapping is not empty");
}

static void same_memory(void)
{
	struct memory m;
	u8 *other;

	memory_new(&m, "file", PAGES);
	other = memory_map(&m);
	page_write(m.fd, 3, 33);
	TEST_ASSERT(page_holds(m.map + 3 * PAGE, 33), "a write does not show in the mapping");
	page_fill(m.map + 4 * PAGE, 44);
	TEST_ASSERT(page_reads(m.fd, 4, 44), "a store cannot be read");
	TEST_ASSERT(page_holds(other + 4 * PAGE, 44), "a store does not show in another mapping");
	TEST_ASSERT(pwrite(m.fd, "crossing", 8, 6 * PAGE - 4) == 8, "write");
	TEST_ASSERT(!memcmp(other + 6 * PAGE - 4, "crossing", 8), "a write across two pages");
}

static void write_grows(void)
{
	struct memory m;
	char text[6] = "";

	memory_new(&m, "file", 1);
	TEST_ASSERT(pwrite(m.fd, "hello", 5, 3 * PAGE + 10) == 5, "write");
	TEST_ASSERT(stat_of(m.fd).st_size == 3 * PAGE + 15, "size");
	TEST_ASSERT(pread(m.fd, text, 5, 3 * PAGE + 10) == 5 && !strcmp(text, "hello"),
		    "read '%s'", text);
	expect_pages(m.fd, 0, 1);
}

static void shrink_and_grow(void)
{
	struct memory m;

	memory_new(&m, "file", PAGES);
	memory_fill(&m, 100, PAGES);
	resize(m.fd, 10 * PAGE + 100);
	TEST_ASSERT(stat_of(m.fd).st_size == 10 * PAGE + 100, "size");
	resize(m.fd, PAGES * PAGE);
	expect_pages(m.fd, 100, 10);
	TEST_ASSERT(m.map[10 * PAGE + 99] && !m.map[10 * PAGE + 100] &&
		    !memcmp(m.map + 10 * PAGE + 100, m.map + 10 * PAGE + 101, PAGE - 101),
		    "the rest of the last page came back");
	TEST_ASSERT(page_reads(m.fd, 11, 0) && page_holds(m.map + 12 * PAGE, 0),
		    "what was cut off came back");
}

static void beyond_the_end(void)
{
	struct memory m;

	memory_new(&m, "file", PAGES);
	memory_fill(&m, 1, PAGES);
	resize(m.fd, 7 * PAGE + 1);
	TEST_ASSERT(!read_signal(m.map + 7 * PAGE), "the last page is gone");
	TEST_ASSERT(read_signal(m.map + 8 * PAGE) == SIGBUS, "no SIGBUS for a load");
	TEST_ASSERT(write_signal(m.map + 9 * PAGE) == SIGBUS, "no SIGBUS for a store");
	resize(m.fd, PAGES * PAGE);
	TEST_ASSERT(!write_signal(m.map + 9 * PAGE), "no page where the file has grown");
}

static void fallocate_makes_pages(void)
{
	struct memory m;

	memory_new(&m, "file", PAGES);
	TEST_ASSERT(!hs_status(m.fd).pages, "a new file has pages");
	TEST_ASSERT(!fallocate(m.fd, 0, 2 * PAGE, 5 * PAGE), "fallocate");
	TEST_ASSERT(hs_status(m.fd).pages == 5, "%llu pages", hs_status(m.fd).pages);
	TEST_ASSERT(page_reads(m.fd, 3, 0), "they are not empty");
	page_fill(m.map + 3 * PAGE, 7);
	TEST_ASSERT(!fallocate(m.fd, 0, 0, PAGES * PAGE), "fallocate again");
	TEST_ASSERT(page_reads(m.fd, 3, 7), "fallocate changed a page");
	TEST_ASSERT(!fallocate(m.fd, 0, PAGES * PAGE, PAGE), "fallocate behind the end");
	TEST_ASSERT(stat_of(m.fd).st_size == (PAGES + 1) * PAGE, "size");
}

static void fallocate_keeps_size(void)
{
	struct memory m;

	memory_new(&m, "file", 4);
	TEST_ASSERT(!fallocate(m.fd, FALLOC_FL_KEEP_SIZE, 0, 8 * PAGE), "fallocate");
	TEST_ASSERT(stat_of(m.fd).st_size == 4 * PAGE, "size");
	TEST_ASSERT(hs_status(m.fd).pages >= 4, "%llu pages", hs_status(m.fd).pages);
	resize(m.fd, 8 * PAGE);
	expect_pages(m.fd, 0, 1);
	TEST_ASSERT(page_reads(m.fd, 7, 0), "a page behind the end was not empty");
}

static void holes(void)
{
	struct memory m;

	memory_new(&m, "file", PAGES);
	memory_fill(&m, 1, PAGES);
	punch(m.fd, 10, 20);
	TEST_ASSERT(hs_status(m.fd).pages == PAGES - 20, "%llu pages", hs_status(m.fd).pages);
	expect_pages(m.fd, 1, 10);
	TEST_ASSERT(page_holds(m.map + 15 * PAGE, 0) && page_reads(m.fd, 29, 0), "not empty");
	TEST_ASSERT(page_reads(m.fd, 30, 31), "the page behind the hole");
	page_fill(m.map + 15 * PAGE, 5);
	TEST_ASSERT(page_reads(m.fd, 15, 5), "a hole takes no store");
	TEST_ASSERT(stat_of(m.fd).st_size == PAGES * PAGE, "size");
}

static void holes_in_pages(void)
{
	struct memory m;
	unsigned int i;

	memory_new(&m, "file", 4);
	memset(m.map, 0xff, 4 * PAGE);
	TEST_ASSERT(!fallocate(m.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE - 10,
			       PAGE + 20), "punch");
	for (i = 0; i < 4 * PAGE; i++)
		TEST_ASSERT(!m.map[i] == (i >= PAGE - 10 && i < 2 * PAGE + 10),
			    "byte %u is %#x", i, m.map[i]);
}

static void madvise_remove(void)
{
	struct memory m;

	memory_new(&m, "file", PAGES);
	memory_fill(&m, 1, PAGES);
	TEST_ASSERT(!madvise(m.map + 4 * PAGE, 3 * PAGE, MADV_REMOVE), "madvise");
	TEST_ASSERT(page_reads(m.fd, 3, 4) && page_reads(m.fd, 4, 0) && page_reads(m.fd, 6, 0) &&
		    page_reads(m.fd, 7, 8), "not these pages");
	TEST_ASSERT(!madvise(m.map, PAGES * PAGE, MADV_DONTNEED), "madvise");
	TEST_ASSERT(page_holds(m.map, 1), "MADV_DONTNEED of a shared mapping loses memory");
}

static void other_fallocate(void)
{
	static const int modes[] = {
		FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE, FALLOC_FL_ZERO_RANGE,
		FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_UNSHARE_RANGE,
		FALLOC_FL_PUNCH_HOLE,
	};
	struct memory m;
	unsigned int i;

	memory_new(&m, "file", PAGES);
	memory_fill(&m, 1, PAGES);
	for (i = 0; i < ARRAY_SIZE(modes); i++)
		REFUSED(EOPNOTSUPP, sys(fallocate(m.fd, modes[i], PAGE, 2 * PAGE)));
	expect_pages(m.fd, 1, PAGES);
}

static void private_writable(void)
{
	struct memory m;
	u8 *map;

	memory_new(&m, "file", PAGES);
	map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, m.fd, 0);
	TEST_ASSERT(map == MAP_FAILED && (errno == EINVAL || errno == EACCES), "not refused");
	/* What is refused in the end: that, or the mprotect(). */
	map = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, m.fd, 0);
	if (map == MAP_FAILED)
		TEST_ASSERT(errno == EINVAL || errno == EACCES, "the reason");
	else
		REFUSED(EACCES, sys(mprotect(map, PAGE, PROT_READ | PROT_WRITE)));
}

static void private_read_only(void)
{
	struct memory m;
	u8 *map;
	int fd;

	memory_new(&m, "file", PAGES);
	memory_fill(&m, 1, PAGES);
	fd = open(m.path, O_RDONLY);
	TEST_ASSERT(fd >= 0, "cannot open");
	map = mmap(NULL, PAGES * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	TEST_ASSERT(map != MAP_FAILED, "no private mapping");
	TEST_ASSERT(page_holds(map + 5 * PAGE, 6), "its content");
	REFUSED(EACCES, sys(mprotect(map, PAGE, PROT_READ | PROT_WRITE)));
	page_fill(m.map + 5 * PAGE, 7);
	TEST_ASSERT(page_holds(map + 5 * PAGE, 7), "it does not show what is stored");
}

static void read_only_file(void)
{
	struct memory m;
	int fd;
	u8 *map;

	memory_new(&m, "file", PAGES);
	fd = open(m.path, O_RDONLY);
	map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	TEST_ASSERT(map == MAP_FAILED && errno == EACCES, "a shared mapping can be written");
	map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	TEST_ASSERT(map != MAP_FAILED, "no shared mapping");
	REFUSED(EACCES, sys(mprotect(map, PAGE, PROT_READ | PROT_WRITE)));
	REFUSED(EBADF, sys(pwrite(fd, "x", 1, 0)));
	REFUSED(EINVAL, sys(ftruncate(fd, 0)));
}

/* Nothing else holds what is in these pages: the kernel must not take them for a cache. */
static void not_a_cache(void)
{
	struct memory m;
	int fd;

	memory_new(&m, "file", PAGES);
	memory_fill(&m, 1, PAGES);
	/* Kernels may refuse it, for pages that nobody can write out. */
	madvise(m.map, PAGES * PAGE, MADV_PAGEOUT);
	munmap(m.map, PAGES * PAGE);
	TEST_ASSERT(!posix_fadvise(m.fd, 0, 0, POSIX_FADV_DONTNEED), "fadvise");
	fd = open("/proc/sys/vm/drop_caches", O_WRONLY);
	TEST_ASSERT(fd >= 0 && write(fd, "3", 1) == 1, "caches not dropped");
	close(fd);
	close(m.fd);
	m.fd = open(m.path, O_RDWR);
	expect_pages(m.fd, 1, PAGES);
	TEST_ASSERT(!fsync(m.fd), "fsync");
}

static void sizes_and_space(void)
{
	struct memory m;
	struct statfs fs;

	memory_new(&m, "file", PAGES);
	TEST_ASSERT(!statfs(HOTSNAP_DIR, &fs), "statfs");
	TEST_ASSERT(fs.f_bsize == PAGE, "blocks of %ld", (long)fs.f_bsize);
	TEST_ASSERT(fs.f_type, "no magic number");
	TEST_ASSERT(fs.f_namelen == 255, "names of %ld", (long)fs.f_namelen);
}

static bool folder_lists(const char *path, const char *name)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	bool found = false;

	TEST_ASSERT(dir, "no folder %s", path);
	for (entry = readdir(dir); entry; entry = readdir(dir))
		found |= !strcmp(entry->d_name, name);
	closedir(dir);
	return found;
}

static void folders(void)
{
	struct memory m;

	hotsnap_mount("");
	TEST_ASSERT(!mkdir(HOTSNAP_DIR "/vm", 0750), "mkdir");
	TEST_ASSERT((stat_path(HOTSNAP_DIR "/vm").st_mode & 0777) == 0750, "mode");
	memory_new(&m, "vm/ram", 4);
	memory_fill(&m, 1, 4);
	REFUSED(ENOTEMPTY, sys(rmdir(HOTSNAP_DIR "/vm")));
	TEST_ASSERT(!rename(HOTSNAP_DIR "/vm/ram", HOTSNAP_DIR "/ram"), "rename");
	TEST_ASSERT(folder_lists(HOTSNAP_DIR, "ram") && !folder_lists(HOTSNAP_DIR "/vm", "ram"),
		    "it is not where it was moved to");
	TEST_ASSERT(!rmdir(HOTSNAP_DIR "/vm"), "rmdir");
	REFUSED(ENOENT, sys(open(HOTSNAP_DIR "/vm/ram", O_RDWR)));
	m.fd = open(HOTSNAP_DIR "/ram", O_RDWR);
	expect_pages(m.fd, 1, 4);
	TEST_ASSERT(!mkdir(HOTSNAP_DIR "/a", 0700) &&
		    !rename(HOTSNAP_DIR "/a", HOTSNAP_DIR "/b"), "a folder is not renamed");
}

static void renamed_over(void)
{
	struct memory a, b;
	int fd;

	memory_new(&a, "a", 4);
	memory_new(&b, "b", 4);
	memory_fill(&a, 1, 4);
	memory_fill(&b, 11, 4);
	TEST_ASSERT(!rename(a.path, b.path), "rename");
	fd = open(b.path, O_RDWR);
	expect_pages(fd, 1, 4);
	expect_pages(b.fd, 11, 4);
}

static void unlinked(void)
{
	struct memory m;
	int snapshot;

	memory_new(&m, "file", PAGES);
	memory_fill(&m, 1, PAGES);
	TEST_ASSERT(!unlink(m.path), "unlink");
	REFUSED(ENOENT, sys(open(m.path, O_RDWR)));
	page_fill(m.map + PAGE, 77);
	TEST_ASSERT(page_reads(m.fd, 1, 77), "stores are lost");
	snapshot = hs_freeze(m.fd);
	close(m.fd);
	page_fill(m.map + PAGE, 78);
	TEST_ASSERT(page_reads(snapshot, 1, 77), "the snapshot");
	TEST_ASSERT(page_holds(m.map + PAGE, 78), "the memory");
	munmap(m.map, PAGES * PAGE);
	expect_pages(snapshot, 1, 1);
	TEST_ASSERT(page_reads(snapshot, 1, 77), "the snapshot of what is gone");
	hs_commit(snapshot);
}

static void options(void)
{
	struct stat st;

	hotsnap_mount("mode=0710,uid=1000,gid=1001");
	st = stat_path(HOTSNAP_DIR);
	TEST_ASSERT((st.st_mode & 07777) == 0710, "mode %o", st.st_mode);
	TEST_ASSERT(st.st_uid == 1000 && st.st_gid == 1001, "owner %u:%u", st.st_uid, st.st_gid);
}

static void wrong_options(void)
{
	static const char * const wrong[] = {
		"mode=9", "uid=somebody", "gid=-", "size=1G", "mode",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		REFUSED(EINVAL, __hotsnap_mount(wrong[i]));
}

static int owner_creates(void *arg)
{
	struct memory m;

	become_user(*(uid_t *)arg);
	REFUSED(EACCES, sys(open(HOTSNAP_DIR "/roots", O_RDWR)));
	memory_new(&m, "mine", 4);
	memory_fill(&m, 1, 4);
	expect_pages(hs_freeze(m.fd), 1, 4);
	return 0;
}

static int stranger_cannot(void *arg)
{
	become_user(*(uid_t *)arg);
	REFUSED(EACCES, sys(open(HOTSNAP_DIR "/mine", O_RDWR)));
	REFUSED(EACCES, sys(open(HOTSNAP_DIR "/other", O_RDWR | O_CREAT, 0600)));
	return 0;
}

static void owners(void)
{
	uid_t owner = 1000, stranger = 1001;
	struct memory roots;

	hotsnap_mount("mode=0700,uid=1000,gid=1000");
	memory_new(&roots, "roots", 1);
	TEST_ASSERT(!process_end(process_start(owner_creates, &owner)), "the owner");
	TEST_ASSERT(stat_path(HOTSNAP_DIR "/mine").st_uid == owner, "whose file it is");
	TEST_ASSERT(!process_end(process_start(stranger_cannot, &stranger)), "a stranger");
}

static void read_only_mount(void)
{
	struct memory m;

	memory_new(&m, "file", 1);
	munmap(m.map, PAGE);
	close(m.fd);
	TEST_ASSERT(!mount(NULL, HOTSNAP_DIR, NULL, MS_REMOUNT | MS_RDONLY, NULL), "remount");
	REFUSED(EROFS, sys(open(HOTSNAP_DIR "/new", O_RDWR | O_CREAT, 0600)));
	REFUSED(EROFS, sys(open(m.path, O_RDWR)));
}

static void two_mounts(void)
{
	struct memory first, second;

	hotsnap_mount("");
	memory_new(&first, "file", 4);
	memory_fill(&first, 1, 4);
	hotsnap_mount("");
	TEST_ASSERT(!folder_lists(HOTSNAP_DIR, "file"), "the second shows the first's files");
	memory_new(&second, "file", 4);
	memory_fill(&second, 11, 4);
	expect_pages(first.fd, 1, 4);
	expect_pages(second.fd, 11, 4);
}

static void busy_mount(void)
{
	struct memory m;

	memory_new(&m, "file", PAGES);
	memory_fill(&m, 1, PAGES);
	REFUSED(EBUSY, sys(umount(HOTSNAP_DIR)));
	TEST_ASSERT(!umount2(HOTSNAP_DIR, MNT_DETACH), "umount");
	expect_pages(m.fd, 1, PAGES);
	expect_pages(hs_freeze(m.fd), 1, PAGES);
}

static long unload(void)
{
	return sys(syscall(SYS_delete_module, MODULE_NAME, O_NONBLOCK));
}

static void load(void)
{
	int fd = open(module_file, O_RDONLY | O_CLOEXEC);

	TEST_ASSERT(fd >= 0, "no %s", module_file);
	TEST_ASSERT(!syscall(SYS_finit_module, fd, "", 0), "not loaded");
	close(fd);
}

static void unload_busy(void)
{
	struct memory m;
	int snapshot;

	memory_new(&m, "file", 4);
	memory_fill(&m, 1, 4);
	REFUSED(EWOULDBLOCK, unload());
	snapshot = hs_freeze(m.fd);
	close(m.fd);
	munmap(m.map, 4 * PAGE);
	TEST_ASSERT(!umount2(HOTSNAP_DIR, MNT_DETACH), "umount");
	REFUSED(EWOULDBLOCK, unload());
	expect_pages(snapshot, 1, 4);
	m.map = snapshot_map(snapshot, 4, MAP_SHARED);
	close(snapshot);
	REFUSED(EWOULDBLOCK, unload());
	TEST_ASSERT(page_holds(m.map, 1), "the snapshot's mapping");
}

static void unload_idle(void)
{
	struct memory m;

	memory_new(&m, "file", 4);
	memory_fill(&m, 1, 4);
	close(hs_freeze(m.fd));
	close(m.fd);
	munmap(m.map, 4 * PAGE);
	TEST_ASSERT(!umount(HOTSNAP_DIR), "umount");
	/* What other processes had mounted goes a moment after them. */
	WAIT_UNTIL(!unload());
	REFUSED(ENODEV, __hotsnap_mount(""));
	load();
	hotsnap_mount("");
	memory_new(&m, "file", 4);
	memory_fill(&m, 1, 4);
	expect_pages(hs_freeze(m.fd), 1, 4);
}

static const struct tap_case cases[] = {
	{ "a new file is empty, and as large as it was made", new_file },
	{ "read, write and every mapping show the same memory", same_memory },
	{ "a write behind the end makes a file grow", write_grows },
	{ "what was cut off a file does not come back", shrink_and_grow },
	{ "memory behind a file's end gives SIGBUS", beyond_the_end },
	{ "fallocate gives a file empty pages, and changes none", fallocate_makes_pages },
	{ "fallocate can keep the size", fallocate_keeps_size },
	{ "holes are given back and read as zeroes", holes },
	{ "a hole that ends within a page zeroes just its part of it", holes_in_pages },
	{ "MADV_REMOVE punches a hole, MADV_DONTNEED loses nothing", madvise_remove },
	{ "other kinds of fallocate are not supported", other_fallocate },
	{ "no private mapping can be written", private_writable },
	{ "a private mapping of a file opened for reading never becomes writable",
	  private_read_only },
	{ "a file opened for reading cannot be written through it", read_only_file },
	{ "memory survives the dropping of caches", not_a_cache },
	{ "statfs gives the page size", sizes_and_space },
	{ "files have folders, and can be moved", folders },
	{ "a file renamed over another replaces it", renamed_over },
	{ "an unlinked file lives on in its mappings and its snapshot", unlinked },
	{ "mode, uid and gid are those of the root folder", options },
	{ "unknown and malformed options are refused", wrong_options },
	{ "users have their own files, and no others", owners },
	{ "a file system can be made read-only", read_only_mount },
	{ "each mount is a file system of its own", two_mounts },
	{ "an open file keeps its file system", busy_mount },
	{ "the module stays while a mount, a snapshot or its mapping needs it", unload_busy },
	{ "the module goes when nothing needs it, and works when it is back", unload_idle },
};

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: hotsnap_files <module file>\n");
		return 2;
	}
	module_file = argv[1];
	return tap_cases(cases, ARRAY_SIZE(cases));
}
