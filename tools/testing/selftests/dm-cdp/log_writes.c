// SPDX-License-Identifier: GPL-2.0-only
#include "log_writes.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_MAGIC	0x6a736677736872ULL
#define LOG_VERSION	1

struct log_super_disk {
	uint64_t magic;
	uint64_t version;
	uint64_t nr_entries;
	uint32_t sectorsize;
};

struct log_entry_disk {
	uint64_t sector;
	uint64_t nr_sectors;
	uint64_t flags;
	uint64_t data_len;
	char data[SECTOR_SIZE - 32];
};

static void read_at(int fd, void *buffer, size_t size, u64 offset)
{
	TEST_ASSERT(pread(fd, buffer, size, offset) == (ssize_t)size, "short read of the log");
}

static void write_at(int fd, const void *buffer, size_t size, u64 offset)
{
	TEST_ASSERT(pwrite(fd, buffer, size, offset) == (ssize_t)size, "short write");
}

static unsigned int read_super(int fd, void *buffer)
{
	const struct log_super_disk *super = buffer;

	read_at(fd, buffer, SECTOR_SIZE, 0);
	TEST_ASSERT(le64toh(super->magic) == LOG_MAGIC, "no log of writes");
	TEST_ASSERT(le64toh(super->version) == LOG_VERSION, "a log of another version");
	TEST_ASSERT(le32toh(super->sectorsize) == SECTOR_SIZE, "a log of large sectors");
	return le64toh(super->nr_entries);
}

/* Returns where the next entry begins. */
static u64 read_entry(int fd, void *buffer, u64 at, struct log_entry *entry)
{
	const struct log_entry_disk *disk = buffer;

	read_at(fd, buffer, SECTOR_SIZE, at);
	at += SECTOR_SIZE;
	entry->flags = le64toh(disk->flags);
	entry->sector = le64toh(disk->sector);
	entry->nr_sectors = le64toh(disk->nr_sectors);
	entry->data = at;
	if (entry->flags & LOG_MARK)
		entry->mark = strndup(disk->data, le64toh(disk->data_len));
	if (!(entry->flags & LOG_DISCARD))
		at += entry->nr_sectors * SECTOR_SIZE;
	return at;
}

void write_log_load(struct write_log *log, const char *device)
{
	void *buffer = block_buffer(SECTOR_SIZE);
	u64 at = SECTOR_SIZE;
	unsigned int i;

	log->fd = block_open(device, false);
	log->nr = read_super(log->fd, buffer);
	log->entry = calloc(log->nr, sizeof(*log->entry));
	TEST_ASSERT(log->entry, "no memory");
	for (i = 0; i < log->nr; i++)
		at = read_entry(log->fd, buffer, at, &log->entry[i]);
	free(buffer);
}

void write_log_free(struct write_log *log)
{
	unsigned int i;

	for (i = 0; i < log->nr; i++)
		free(log->entry[i].mark);
	free(log->entry);
	close(log->fd);
}

void write_log_apply(const struct write_log *log, const struct log_entry *entry, int fd,
		     struct rng *rng, u32 keep)
{
	size_t size = entry->nr_sectors * SECTOR_SIZE;
	char *buffer = block_buffer(size);
	u64 i;

	if (entry->flags & LOG_DISCARD)
		memset(buffer, 0, size);
	else
		read_at(log->fd, buffer, size, entry->data);
	if (keep >= 100) {
		write_at(fd, buffer, size, entry->sector * SECTOR_SIZE);
	} else {
		for (i = 0; i < entry->nr_sectors; i++)
			if (rng_chance(rng, keep))
				write_at(fd, buffer + i * SECTOR_SIZE, SECTOR_SIZE,
					 (entry->sector + i) * SECTOR_SIZE);
	}
	free(buffer);
}
