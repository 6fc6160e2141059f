// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: Live update test device
 *
 * A device that exists only for tests: /dev/liveupdate_test. An open file of
 * it can be preserved and needs prepare, as a real device's would, so every
 * rule about such files can be tried without hardware. A retrieved file reads
 * back the text that was last written to the old one.
 *
 * debugfs liveupdate/test/{fail_prepare,fail_reboot,fail_freeze} hold an errno
 * (positive) with which the next call of that kind fails, once; 0 is none.
 * liveupdate/test/slow_prepare holds the milliseconds that prepare takes.
 * liveupdate/test/calls reads as the callbacks that ran since it was last
 * opened for writing, one a line.
 *
 * Locking: luo_test_lock is a leaf.
 */

#define pr_fmt(fmt) "liveupdate test: " fmt

#include <linux/anon_inodes.h>
#include <linux/cleanup.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/liveupdate.h>
#include <linux/liveupdate_host.h>
#include <linux/liveupdate_image.h>
#include <linux/miscdevice.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#define LUO_TEST_COMPATIBLE	"liveupdate-test-device-v1"
#define LUO_TEST_TEXT		64
#define LUO_TEST_CALLS		2048

LIVEUPDATE_IMAGE_NOTE(luo_test, LIVEUPDATE_NOTE_BOTH, LUO_TEST_COMPATIBLE);

static DEFINE_MUTEX(luo_test_lock);
static char luo_test_calls[LUO_TEST_CALLS];
static u32 luo_test_fail_prepare;
static u32 luo_test_fail_reboot;
static u32 luo_test_fail_freeze;
static u32 luo_test_slow_prepare;

static void luo_test_log(const char *call)
{
	size_t len;

	guard(mutex)(&luo_test_lock);
	len = strlen(luo_test_calls);
	scnprintf(luo_test_calls + len, sizeof(luo_test_calls) - len, "%s\n",
		  call);
}

/* Log the call, and fail it once when a test asked for that. */
static int luo_test_call(const char *call, u32 *fail)
{
	int err = -(int)xchg(fail, 0);

	luo_test_log(call);

	return err;
}

static ssize_t luo_test_read(struct file *file, char __user *buf, size_t count,
			     loff_t *pos)
{
	char *text = file->private_data;

	return simple_read_from_buffer(buf, count, pos, text,
				       strnlen(text, LUO_TEST_TEXT));
}

static ssize_t luo_test_write(struct file *file, const char __user *buf,
			      size_t count, loff_t *pos)
{
	char *text = file->private_data;

	if (count >= LUO_TEST_TEXT)
		return -EINVAL;
	memset(text, 0, LUO_TEST_TEXT);

	return copy_from_user(text, buf, count) ? -EFAULT : count;
}

static int luo_test_open(struct inode *inode, struct file *file)
{
	file->private_data = kzalloc(LUO_TEST_TEXT, GFP_KERNEL);

	return file->private_data ? 0 : -ENOMEM;
}

static int luo_test_release(struct inode *inode, struct file *file)
{
	kfree(file->private_data);
	return 0;
}

static const struct file_operations luo_test_fops = {
	.owner		= THIS_MODULE,
	.open		= luo_test_open,
	.read		= luo_test_read,
	.write		= luo_test_write,
	.release	= luo_test_release,
};

static bool luo_test_can_preserve(struct liveupdate_file_handler *handler,
				  struct file *file)
{
	return file->f_op->read == luo_test_read;
}

static int luo_test_preserve(struct liveupdate_file_op_args *args)
{
	void *data = kho_alloc_preserve(LUO_TEST_TEXT);

	luo_test_log("file preserve");
	if (IS_ERR(data))
		return PTR_ERR(data);
	args->private_data = data;
	args->serialized_data = virt_to_phys(data);

	return 0;
}

static void luo_test_unpreserve(struct liveupdate_file_op_args *args)
{
	luo_test_log("file unpreserve");
	kho_unpreserve_free(args->private_data);
}

static int luo_test_freeze(struct liveupdate_file_op_args *args)
{
	memcpy(args->private_data, args->file->private_data, LUO_TEST_TEXT);

	return luo_test_call("file freeze", &luo_test_fail_freeze);
}

static void luo_test_unfreeze(struct liveupdate_file_op_args *args)
{
	luo_test_log("file unfreeze");
}

static int luo_test_retrieve(struct liveupdate_file_op_args *args)
{
	void *data = phys_to_virt(args->serialized_data);
	char *text;

	luo_test_log("file retrieve");
	if (!kho_is_preserved(args->serialized_data, LUO_TEST_TEXT))
		return -EFAULT;
	text = kmemdup(data, LUO_TEST_TEXT, GFP_KERNEL);
	if (!text)
		return -ENOMEM;

	args->file = anon_inode_getfile("[liveupdate_test]", &luo_test_fops,
					text, O_RDWR);
	if (IS_ERR(args->file)) {
		kfree(text);
		return PTR_ERR(args->file);
	}
	kho_restore_free(data);

	return 0;
}

static void luo_test_finish(struct liveupdate_file_op_args *args)
{
	luo_test_log(args->retrieve_status ? "file finish" : "file discard");
	if (args->retrieve_status <= 0)
		kho_restore_free(phys_to_virt(args->serialized_data));
}

static const struct liveupdate_file_ops luo_test_file_ops = {
	.can_preserve	= luo_test_can_preserve,
	.preserve	= luo_test_preserve,
	.unpreserve	= luo_test_unpreserve,
	.freeze		= luo_test_freeze,
	.unfreeze	= luo_test_unfreeze,
	.retrieve	= luo_test_retrieve,
	.finish		= luo_test_finish,
	.owner		= THIS_MODULE,
	.needs_prepare	= true,
};

static struct liveupdate_file_handler luo_test_handler = {
	.ops = &luo_test_file_ops,
	.compatible = LUO_TEST_COMPATIBLE,
};

static int luo_test_sub_prepare(struct liveupdate_subsystem *sub)
{
	int err = luo_test_call("subsystem prepare", &luo_test_fail_prepare);
	char *payload;

	msleep(luo_test_slow_prepare);
	if (err)
		return err;
	payload = liveupdate_payload_alloc(sub, LUO_TEST_TEXT);
	if (IS_ERR(payload))
		return PTR_ERR(payload);
	strscpy(payload, "from the outgoing kernel", LUO_TEST_TEXT);

	return 0;
}

static int luo_test_sub_reboot(struct liveupdate_subsystem *sub)
{
	return luo_test_call("subsystem reboot", &luo_test_fail_reboot);
}

static void luo_test_sub_cancel(struct liveupdate_subsystem *sub)
{
	luo_test_log("subsystem cancel");
}

static void luo_test_sub_finish(struct liveupdate_subsystem *sub)
{
	size_t len = 0;
	const char *payload = liveupdate_payload_get(sub->name, sub->compatible,
						     &len);

	luo_test_log("subsystem finish");
	if (IS_ERR(payload))
		pr_info("payload: %pe\n", payload);
	else
		pr_info("payload: '%.*s'\n", (int)len, payload);
}

static const struct liveupdate_subsystem_ops luo_test_sub_ops = {
	.prepare = luo_test_sub_prepare,
	.reboot = luo_test_sub_reboot,
	.cancel = luo_test_sub_cancel,
	.finish = luo_test_sub_finish,
};

/* After the files, so that its failure at REBOOT must unfreeze them. */
static struct liveupdate_subsystem luo_test_sub = {
	.name = "test",
	.compatible = LUO_TEST_COMPATIBLE,
	.prio = LIVEUPDATE_PRIO_AFTER_DEVICES,
	.ops = &luo_test_sub_ops,
	.owner = THIS_MODULE,
};

static ssize_t luo_test_calls_read(struct file *file, char __user *buf,
				   size_t count, loff_t *pos)
{
	guard(mutex)(&luo_test_lock);
	return simple_read_from_buffer(buf, count, pos, luo_test_calls,
				       strlen(luo_test_calls));
}

static int luo_test_calls_open(struct inode *inode, struct file *file)
{
	guard(mutex)(&luo_test_lock);
	if (file->f_mode & FMODE_WRITE)
		luo_test_calls[0] = '\0';

	return 0;
}

static const struct file_operations luo_test_calls_fops = {
	.owner	= THIS_MODULE,
	.open	= luo_test_calls_open,
	.read	= luo_test_calls_read,
};

static struct miscdevice luo_test_misc = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "liveupdate_test",
	.fops	= &luo_test_fops,
	.mode	= 0600,
};

static void __init luo_test_debugfs_init(void)
{
	struct dentry *top = debugfs_lookup("liveupdate", NULL);
	struct dentry *dir = debugfs_create_dir("test", top);

	dput(top);
	debugfs_create_u32("fail_prepare", 0600, dir, &luo_test_fail_prepare);
	debugfs_create_u32("fail_reboot", 0600, dir, &luo_test_fail_reboot);
	debugfs_create_u32("fail_freeze", 0600, dir, &luo_test_fail_freeze);
	debugfs_create_u32("slow_prepare", 0600, dir, &luo_test_slow_prepare);
	debugfs_create_file("calls", 0600, dir, NULL, &luo_test_calls_fops);
}

static int __init luo_test_device_init(void)
{
	int err;

	if (!liveupdate_enabled())
		return 0;

	err = liveupdate_register_file_handler(&luo_test_handler);
	if (err)
		return err;
	err = liveupdate_register_subsystem(&luo_test_sub);
	if (err)
		return err;
	luo_test_debugfs_init();

	return misc_register(&luo_test_misc);
}
late_initcall_sync(luo_test_device_init);
