// SPDX-License-Identifier: GPL-2.0-only
/* A snapshot's file: what a program that archives or looks into it sees. */
#include "snapshot.h"
#include "read.h"
#include "super.h"

#include <linux/file.h>
#include <linux/mount.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

static int read_one(void *context, pgoff_t index, struct page *to)
{
	return hotsnap_snapshot_copy(context, index, to);
}

static ssize_t snapshot_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct hotsnap_snapshot *snapshot = iocb->ki_filp->private_data;

	return hotsnap_read(iocb, to, snapshot->size, read_one, snapshot);
}

/* The page from `pos` on that holds something, or does not. */
static loff_t seek_page(struct hotsnap_snapshot *snapshot, loff_t pos, bool data)
{
	pgoff_t index = pos >> PAGE_SHIFT;
	loff_t found;

	if (data)
		index = hotsnap_snapshot_next(snapshot, index);
	while (!data && index < snapshot->nr_pages && hotsnap_snapshot_holds(snapshot, index)) {
		index++;
		cond_resched();
	}
	if (data && index == snapshot->nr_pages)
		return -ENXIO;
	found = max(pos, (loff_t)index << PAGE_SHIFT);
	return min(found, snapshot->size);
}

static loff_t snapshot_llseek(struct file *file, loff_t offset, int whence)
{
	struct hotsnap_snapshot *snapshot = file->private_data;

	switch (whence) {
	case SEEK_DATA:
	case SEEK_HOLE:
		if (READ_ONCE(snapshot->state) != HOTSNAP_STATE_FROZEN)
			return -ENODATA;
		if (offset < 0 || offset >= snapshot->size)
			return -ENXIO;
		offset = seek_page(snapshot, offset, whence == SEEK_DATA);
		if (offset < 0)
			return offset;
		return vfs_setpos(file, offset, snapshot->size);
	}
	return fixed_size_llseek(file, offset, whence, snapshot->size);
}

/* Readable at any time; an error when there is nothing to wait for any more. */
static __poll_t snapshot_poll(struct file *file, struct poll_table_struct *wait)
{
	struct hotsnap_snapshot *snapshot = file->private_data;

	poll_wait(file, &snapshot->wait, wait);
	switch (READ_ONCE(snapshot->state)) {
	case HOTSNAP_STATE_ABORTED:
	case HOTSNAP_STATE_CANCELLED:
		return EPOLLERR;
	case HOTSNAP_STATE_COMMITTED:
		return EPOLLHUP;
	default:
		return EPOLLIN | EPOLLRDNORM;
	}
}

static vm_fault_t snapshot_fault(struct vm_fault *vmf)
{
	struct hotsnap_snapshot *snapshot = vmf->vma->vm_file->private_data;
	int r;

	if (vmf->pgoff >= snapshot->nr_pages)
		return VM_FAULT_SIGBUS;
	r = hotsnap_snapshot_page(snapshot, vmf->pgoff, &vmf->page);
	if (r == -EAGAIN) {
		/* The fault comes back, if no signal ends it. */
		hotsnap_wait_for_room();
		return VM_FAULT_NOPAGE;
	}
	if (r == -ENOMEM)
		return VM_FAULT_OOM;
	return r ? VM_FAULT_SIGBUS : 0;
}

static const struct vm_operations_struct snapshot_vm_ops = {
	.fault	= snapshot_fault,
};

static int snapshot_mmap(struct file *file, struct vm_area_struct *vma)
{
	if (vma->vm_flags & VM_WRITE)
		return -EACCES;
	vm_flags_clear(vma, VM_MAYWRITE);
	vma->vm_ops = &snapshot_vm_ops;
	return 0;
}

/*
 * ioctls
 */
static long ioctl_done(struct hotsnap_snapshot *snapshot, struct hotsnap_range __user *user)
{
	u64 size = round_up(snapshot->size, PAGE_SIZE);
	struct hotsnap_range range;

	if (copy_from_user(&range, user, sizeof(range)))
		return -EFAULT;
	if (!range.len || !PAGE_ALIGNED(range.start | range.len) || range.start >= size ||
	    range.len > size - range.start)
		return -EINVAL;
	if (READ_ONCE(snapshot->state) != HOTSNAP_STATE_FROZEN)
		return -ENODATA;
	return hotsnap_snapshot_done(snapshot, range.start >> PAGE_SHIFT,
				     (range.start + range.len) >> PAGE_SHIFT);
}

static long finish(struct hotsnap_snapshot *snapshot, enum hotsnap_state state)
{
	bool first;

	mutex_lock(&snapshot->memory->control);
	first = hotsnap_finish(snapshot, state);
	mutex_unlock(&snapshot->memory->control);
	return first ? 0 : hotsnap_state_error(snapshot->state);
}

static long ioctl_status(struct hotsnap_snapshot *snapshot, struct hotsnap_status __user *user)
{
	struct hotsnap_status status;

	if (copy_from_user(&status, user, sizeof(status)))
		return -EFAULT;
	if (status.size != sizeof(status))
		return -EINVAL;
	hotsnap_memory_status(snapshot->memory, snapshot, &status);
	return copy_to_user(user, &status, sizeof(status)) ? -EFAULT : 0;
}

static long snapshot_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct hotsnap_snapshot *snapshot = file->private_data;
	void __user *user = (void __user *)arg;

	switch (cmd) {
	case HOTSNAP_IOC_DONE:
		return ioctl_done(snapshot, user);
	case HOTSNAP_IOC_COMMIT:
		return finish(snapshot, HOTSNAP_STATE_COMMITTED);
	case HOTSNAP_IOC_CANCEL:
		finish(snapshot, HOTSNAP_STATE_CANCELLED);
		return 0;
	case HOTSNAP_IOC_STATUS:
		return ioctl_status(snapshot, user);
	}
	return -ENOTTY;
}

static int snapshot_release(struct inode *inode, struct file *file)
{
	struct hotsnap_snapshot *snapshot = file->private_data;

	finish(snapshot, HOTSNAP_STATE_CANCELLED);
	hotsnap_snapshot_free(snapshot);
	return 0;
}

static const struct file_operations snapshot_ops = {
	.owner		= THIS_MODULE,
	.llseek		= snapshot_llseek,
	.read_iter	= snapshot_read_iter,
	.splice_read	= copy_splice_read,
	.poll		= snapshot_poll,
	.mmap		= snapshot_mmap,
	.release	= snapshot_release,
	.unlocked_ioctl	= snapshot_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};

struct hotsnap_snapshot *hotsnap_snapshot_of(struct file *file)
{
	return file->f_op == &snapshot_ops ? file->private_data : NULL;
}

/*
 * A regular file to whoever asks, with its size, on the file system of the memory but without a
 * name there.
 */
struct file *hotsnap_snapshot_file(struct hotsnap_snapshot *snapshot)
{
	struct vfsmount *mnt = snapshot->file->f_path.mnt;
	struct inode *inode = hotsnap_inode_create(mnt->mnt_sb, NULL, S_IFREG | 0400);
	struct file *file;

	if (!inode)
		return ERR_PTR(-ENOMEM);
	clear_nlink(inode);
	file = alloc_file_pseudo(inode, mnt, "hotsnap", O_RDONLY | O_LARGEFILE, &snapshot_ops);
	if (IS_ERR(file)) {
		iput(inode);
		return file;
	}
	__module_get(THIS_MODULE);	/* its last fput() puts it */
	file->private_data = snapshot;
	file->f_mode |= FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE;
	return file;
}
