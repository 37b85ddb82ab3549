// SPDX-License-Identifier: GPL-2.0-only
/* ioctls of a file that holds memory; a snapshot's are in snapshot-file.c. */
#include "super.h"
#include "snapshot.h"

#include <linux/file.h>
#include <linux/uaccess.h>

enum { MAX_DEPTH = 8 };		/* of forks of forks: each reads the one before, on the stack */

/*
 * Each takes its structure from user space, and gives it back where there is
 * something to say.
 */
static bool is_range(const struct hotsnap_memory *memory, u64 start, u64 len)
{
	u64 size = round_up(i_size_read(&memory->inode), PAGE_SIZE);

	return len && PAGE_ALIGNED(start | len) && start < size && len <= size - start;
}

static long ioctl_arm(struct file *file, struct hotsnap_arm __user *user)
{
	struct hotsnap_memory *memory = hotsnap_memory(file_inode(file));
	struct hotsnap_arm arm;
	int r;

	if (copy_from_user(&arm, user, sizeof(arm)))
		return -EFAULT;
	if (!is_range(memory, arm.start, arm.len))
		return -EINVAL;
	r = hotsnap_arm(memory, &arm);
	if (r)
		return r;
	return copy_to_user(user, &arm, sizeof(arm)) ? -EFAULT : 0;
}

static long ioctl_buffer(struct file *file, struct hotsnap_buffer __user *user)
{
	struct hotsnap_memory *memory = hotsnap_memory(file_inode(file));
	struct hotsnap_buffer buffer;

	if (copy_from_user(&buffer, user, sizeof(buffer)))
		return -EFAULT;
	if (buffer.policy > HOTSNAP_POLICY_WAIT || buffer.limit > MAX_LFS_FILESIZE ||
	    (buffer.limit && buffer.limit < PAGE_SIZE) ||
	    (buffer.policy == HOTSNAP_POLICY_ABORT && buffer.wait_ms))
		return -EINVAL;
	mutex_lock(&memory->control);
	memory->buffer = buffer;
	mutex_unlock(&memory->control);
	return 0;
}

/* The caller learns of the descriptor before anything is behind it, or there is none. */
static long freeze_to(struct file *file, struct hotsnap_freeze *freeze,
		      struct hotsnap_freeze __user *user)
{
	struct file *snapshot;
	long r = 0;

	freeze->fd = get_unused_fd_flags(O_CLOEXEC);
	if (freeze->fd < 0)
		return freeze->fd;
	snapshot = hotsnap_freeze(file, freeze);
	if (IS_ERR(snapshot))
		r = PTR_ERR(snapshot);
	if ((!r || r == -EBUSY) && copy_to_user(user, freeze, sizeof(*freeze)))
		r = -EFAULT;
	if (!r) {
		fd_install(freeze->fd, snapshot);
		return 0;
	}
	put_unused_fd(freeze->fd);
	if (!IS_ERR(snapshot))
		fput(snapshot);
	return r;
}

static long ioctl_freeze(struct file *file, struct hotsnap_freeze __user *user)
{
	struct hotsnap_freeze freeze;

	if (copy_from_user(&freeze, user, sizeof(freeze)))
		return -EFAULT;
	if (freeze.size != sizeof(freeze) || freeze.reserved ||
	    freeze.flags & ~HOTSNAP_FREEZE_FLAGS ||
	    (freeze.base && !(freeze.flags & HOTSNAP_FREEZE_INCREMENTAL)))
		return -EINVAL;
	freeze.pinned = 0;
	return freeze_to(file, &freeze, user);
}

static unsigned int source_depth(struct file *source)
{
	struct hotsnap_snapshot *snapshot = hotsnap_snapshot_of(source);

	return snapshot ? snapshot->memory->depth + 1 : 0;
}

/* Once, and before there is anything that it might contradict. */
static int set_source(struct hotsnap_memory *memory, struct file *source)
{
	int r = 0;

	down_write(&memory->instant);
	if (memory->source || memory->inode.i_mapping->nrpages || !xa_empty(&memory->pages) ||
	    memory->last_id)
		r = -EBUSY;
	if (!r) {
		memory->depth = source_depth(source);
		WRITE_ONCE(memory->source, source);
	}
	up_write(&memory->instant);
	return r;
}

/* It has to be one that can be read in the kernel, and must not lead back here. */
static bool is_source(const struct hotsnap_memory *memory, struct file *source)
{
	if (!(source->f_mode & FMODE_READ) || source->f_op == &hotsnap_file_ops)
		return false;
	if (hotsnap_snapshot_of(source))
		return hotsnap_snapshot_of(source)->memory != memory;
	return S_ISREG(file_inode(source)->i_mode) && source->f_op->read_iter;
}

static long ioctl_source(struct file *file, struct hotsnap_source __user *user)
{
	struct hotsnap_memory *memory = hotsnap_memory(file_inode(file));
	struct hotsnap_source arg;
	struct file *source;
	int r;

	if (copy_from_user(&arg, user, sizeof(arg)))
		return -EFAULT;
	if (arg.reserved)
		return -EINVAL;
	source = fget(arg.fd);
	if (!source)
		return -EBADF;
	r = is_source(memory, source) ? 0 : -EINVAL;
	if (!r && source_depth(source) > MAX_DEPTH)
		r = -ELOOP;
	if (!r)
		r = set_source(memory, source);
	if (r)
		fput(source);
	return r;
}

static u64 count_writable(struct hotsnap_memory *memory)
{
	unsigned long index = 0;
	void *entry;
	u64 n = 0;

	xa_for_each_marked(&memory->pages, index, entry, PAGE_WRITABLE) {
		n++;
		cond_resched();
	}
	return n;
}

void hotsnap_memory_status(struct hotsnap_memory *memory, struct hotsnap_snapshot *snapshot,
			   struct hotsnap_status *status)
{
	*status = (struct hotsnap_status){ .size = sizeof(*status) };
	mutex_lock(&memory->control);
	if (!snapshot)
		snapshot = memory->snapshot;
	status->state = memory->last_state;
	status->id = memory->last_id;
	if (snapshot)
		hotsnap_snapshot_status(snapshot, status);
	status->base = memory->committed_id;
	mutex_unlock(&memory->control);
	status->pages = memory->inode.i_mapping->nrpages;
	status->writable = count_writable(memory);
}

static long ioctl_status(struct file *file, struct hotsnap_status __user *user)
{
	struct hotsnap_memory *memory = hotsnap_memory(file_inode(file));
	struct hotsnap_status status;

	if (copy_from_user(&status, user, sizeof(status)))
		return -EFAULT;
	if (status.size != sizeof(status))
		return -EINVAL;
	hotsnap_memory_status(memory, NULL, &status);
	return copy_to_user(user, &status, sizeof(status)) ? -EFAULT : 0;
}

static long ioctl_cancel(struct file *file)
{
	struct hotsnap_memory *memory = hotsnap_memory(file_inode(file));

	mutex_lock(&memory->control);
	if (memory->snapshot)
		hotsnap_finish(memory->snapshot, HOTSNAP_STATE_CANCELLED);
	mutex_unlock(&memory->control);
	return 0;
}

/* Freezing reads the memory, and changes nothing of it; still, it is for who may write it. */
long hotsnap_file_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *user = (void __user *)arg;

	if (!(file->f_mode & FMODE_WRITE))
		return -EBADF;
	switch (cmd) {
	case HOTSNAP_IOC_ARM:
		return ioctl_arm(file, user);
	case HOTSNAP_IOC_BUFFER:
		return ioctl_buffer(file, user);
	case HOTSNAP_IOC_FREEZE:
		return ioctl_freeze(file, user);
	case HOTSNAP_IOC_SOURCE:
		return ioctl_source(file, user);
	case HOTSNAP_IOC_STATUS:
		return ioctl_status(file, user);
	case HOTSNAP_IOC_CANCEL:
		return ioctl_cancel(file);
	}
	return -ENOTTY;
}
