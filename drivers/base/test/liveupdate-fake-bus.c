// SPDX-License-Identifier: GPL-2.0
/*
 * A bus whose devices stay alive over a live update, and log what happens to
 * them. Real devices on a real bus: only what they do is made up.
 */
#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/device.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "liveupdate-fake-bus.h"

/* Callbacks know their device only; a test runs at a time. */
static struct fake_bus *fake;
static int fake_alive;

static bool fake_is(const struct fake_call *call, char event, char part, int id)
{
	return call->event == event && call->part == part && call->id == id;
}

/* Where a call leads from; 0 when it may come at any time. */
static bool fake_in_order(char event, int stage)
{
	switch (event) {
	case 'p':
		return stage == 0;
	case 'r':
		return stage == 1;
	case 'c':
		return stage == 1 || stage == 2;
	default:
		return stage == 0;
	}
}

static int fake_call(struct device *dev, char event, char part)
{
	struct fake_dev *d = to_fake_dev(dev);
	int *stage = &d->stage[part == 'b'];
	struct fake_call *call = &fake->log[fake->calls++];

	*call = (struct fake_call){ event, part, d->id };
	if (!fake_in_order(event, *stage) || !mutex_is_locked(&dev->mutex))
		fake->wrong++;
	if (fake->surprise && fake_is(&fake->at, event, part, d->id))
		fake->surprise(fake);
	if (fake_is(&fake->fail, event, part, d->id))
		return -EIO;

	if (event == 'p' || event == 'r')
		(*stage)++;
	if (event == 'c')
		*stage = 0;

	return 0;
}

static int fake_driver_prepare(struct device *dev)
{
	return fake_call(dev, 'p', 'd');
}

static int fake_driver_reboot(struct device *dev)
{
	return fake_call(dev, 'r', 'd');
}

static void fake_driver_cancel(struct device *dev)
{
	fake_call(dev, 'c', 'd');
}

static void fake_driver_finish(struct device *dev)
{
	fake_call(dev, 'f', 'd');
}

static const struct dev_liveupdate_cbs fake_driver_cbs = {
	.prepare = fake_driver_prepare,
	.reboot = fake_driver_reboot,
	.cancel = fake_driver_cancel,
	.finish = fake_driver_finish,
};

static int fake_bus_prepare(struct device *dev)
{
	return fake_call(dev, 'p', 'b');
}

static int fake_bus_reboot(struct device *dev)
{
	return fake_call(dev, 'r', 'b');
}

static void fake_bus_cancel(struct device *dev)
{
	fake_call(dev, 'c', 'b');
}

static void fake_bus_finish(struct device *dev)
{
	fake_call(dev, 'f', 'b');
}

static int fake_bus_path(struct device *dev, char *buf, size_t size)
{
	struct fake_dev *d = to_fake_dev(dev);
	int len;

	fake->questions++;
	if (d->pathless)
		return d->pathless;
	len = snprintf(buf, size, "root/%d", d->id);

	return len < size ? len : -ENAMETOOLONG;
}

static int fake_bus_possible(struct device *dev, char *why, size_t size)
{
	struct fake_dev *d = to_fake_dev(dev);

	fake->questions++;
	if (d->impossible)
		snprintf(why, size, "is broken");

	return d->impossible;
}

static int fake_bus_suppliers(struct device *dev,
			      int (*fn)(struct device *supplier, void *data),
			      void *data)
{
	struct fake_dev *d = to_fake_dev(dev);
	int i, err = 0;

	fake->questions++;
	for (i = 0; i < d->nr_suppliers && !err; i++)
		err = fn(&d->suppliers[i]->dev, data);

	return err;
}

static const struct dev_liveupdate_bus fake_bus_liveupdate = {
	.cbs = {
		.prepare = fake_bus_prepare,
		.reboot = fake_bus_reboot,
		.cancel = fake_bus_cancel,
		.finish = fake_bus_finish,
	},
	.path = fake_bus_path,
	.possible = fake_bus_possible,
	.suppliers = fake_bus_suppliers,
};

static int fake_match(struct device *dev, const struct device_driver *drv)
{
	const char *wants = to_fake_dev(dev)->wants;

	return wants && !strcmp(wants, drv->name);
}

static int fake_remove_driver(struct device *dev)
{
	struct fake_dev *d = to_fake_dev(dev);

	fake->log[fake->calls++] = (struct fake_call){ 'u', 'd', d->id };

	return 0;
}

static int fake_failing_probe(struct device *dev)
{
	return dev_liveupdate_reclaim(dev) ?: -EIO;
}

static const struct bus_type fake_bus_type = {
	.name = "lufake",
	.match = fake_match,
	.liveupdate = &fake_bus_liveupdate,
};

static const struct bus_type fake_plain_bus_type = {
	.name = "lufakeplain",
	.match = fake_match,
};

static struct device_driver fake_drivers[] = {
	{ .name = FAKE_KEEPER, .bus = &fake_bus_type,
	  .remove = fake_remove_driver, .liveupdate = &fake_driver_cbs },
	{ .name = FAKE_OTHER, .bus = &fake_bus_type,
	  .remove = fake_remove_driver, .liveupdate = &fake_driver_cbs },
	{ .name = FAKE_FAILING, .bus = &fake_bus_type,
	  .probe = fake_failing_probe, .liveupdate = &fake_driver_cbs },
	{ .name = FAKE_STRANGER, .bus = &fake_bus_type,
	  .remove = fake_remove_driver },
	{ .name = FAKE_PLAIN, .bus = &fake_plain_bus_type,
	  .remove = fake_remove_driver },
};

/**
 * fake_bus_up - Register the buses and their drivers.
 * @suite: The suite.
 *
 * Context: suite_init.
 * Return: 0 or an errno.
 */
int fake_bus_up(struct kunit_suite *suite)
{
	int i, err;

	err = bus_register(&fake_bus_type);
	if (err)
		return err;
	err = bus_register(&fake_plain_bus_type);
	for (i = 0; i < ARRAY_SIZE(fake_drivers) && !err; i++)
		err = driver_register(&fake_drivers[i]);

	return err;
}

/**
 * fake_bus_down - Undo fake_bus_up().
 * @suite: The suite.
 *
 * Context: suite_exit.
 */
void fake_bus_down(struct kunit_suite *suite)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(fake_drivers); i++)
		driver_unregister(&fake_drivers[i]);
	bus_unregister(&fake_plain_bus_type);
	bus_unregister(&fake_bus_type);
}

static int fake_group_id(struct device *dev)
{
	return to_fake_dev(dev)->group;
}

static int fake_group_walk(struct device *dev,
			   int (*fn)(struct device *dev, void *data), void *data)
{
	int id = to_fake_dev(dev)->group;
	int i, err = 0;

	for (i = 0; i < fake->count && !err; i++) {
		if (!fake->devs[i] || fake->devs[i]->group != id)
			continue;
		fake->questions++;
		err = fn(&fake->devs[i]->dev, data);
	}

	return err;
}

/**
 * fake_bus_init - An empty bus for one test.
 * @test: The test.
 *
 * Context: init.
 * Return: 0 or an errno.
 */
int fake_bus_init(struct kunit *test)
{
	fake = kunit_kzalloc(test, sizeof(*fake), GFP_KERNEL);
	if (!fake)
		return -ENOMEM;

	test->priv = fake;
	fake->fail.id = FAKE_NOBODY;
	fake->at.id = FAKE_NOBODY;
	kunit_activate_static_stub(test, dlu_group_id, fake_group_id);
	kunit_activate_static_stub(test, dlu_group_walk, fake_group_walk);

	return 0;
}

/**
 * fake_bus_exit - Remove all devices, see that nothing of them is left.
 * @test: The test.
 *
 * Context: exit.
 */
void fake_bus_exit(struct kunit *test)
{
	dlu_set_cancel(&fake->out);
	dlu_incoming_finish(&fake->in);
	fake_remove_all(fake);
	device_link_wait_removal();
	KUNIT_EXPECT_EQ(test, fake_alive, 0);
	KUNIT_EXPECT_EQ(test, fake->wrong, 0);
}

static void fake_release(struct device *dev)
{
	fake_alive--;
	kfree(to_fake_dev(dev));
}

/**
 * fake_new - Make a device, without adding it.
 * @test:   The test.
 * @wants:  Its driver, or NULL.
 * @parent: What it hangs on, or NULL.
 *
 * Context: Process context.
 * Return: The device, for fake_add().
 */
struct fake_dev *fake_new(struct kunit *test, const char *wants,
			  struct fake_dev *parent)
{
	struct fake_dev *d = kzalloc_obj(*d);

	KUNIT_ASSERT_NOT_NULL(test, d);
	fake_alive++;
	d->id = fake->count++;
	d->wants = wants;
	d->group = FAKE_NOBODY;
	device_initialize(&d->dev);
	d->dev.bus = &fake_bus_type;
	d->dev.parent = parent ? &parent->dev : NULL;
	d->dev.release = fake_release;
	dev_set_uevent_suppress(&d->dev, 1);
	KUNIT_ASSERT_EQ(test, dev_set_name(&d->dev, "lufake-%d", d->id), 0);

	return d;
}

/**
 * fake_on_plain_bus - Put a device on the bus that does not take part.
 * @fake_dev: The device, not added yet.
 *
 * Context: Any.
 */
void fake_on_plain_bus(struct fake_dev *fake_dev)
{
	fake_dev->dev.bus = &fake_plain_bus_type;
}

/**
 * fake_add - Add a device, and so bind it.
 * @test:     The test.
 * @fake_dev: The device.
 *
 * Context: Process context.
 */
void fake_add(struct kunit *test, struct fake_dev *fake_dev)
{
	fake->devs[fake_dev->id] = fake_dev;
	KUNIT_ASSERT_EQ(test, device_add(&fake_dev->dev), 0);
}

/**
 * fake_add_new - Make and add a device.
 * @test:   The test.
 * @wants:  Its driver, or NULL.
 * @parent: What it hangs on, or NULL.
 *
 * Context: Process context.
 * Return: The device.
 */
struct fake_dev *fake_add_new(struct kunit *test, const char *wants,
			      struct fake_dev *parent)
{
	struct fake_dev *d = fake_new(test, wants, parent);

	fake_add(test, d);

	return d;
}

/**
 * fake_remove - Unregister a device, if it is still there.
 * @bus: The bus.
 * @id:  The device.
 *
 * Context: Process context.
 */
void fake_remove(struct fake_bus *bus, int id)
{
	struct fake_dev *d = bus->devs[id];

	bus->devs[id] = NULL;
	if (!d)
		return;
	if (d->dev.liveupdate)
		flush_work(&d->dev.liveupdate->reprobe);
	device_unregister(&d->dev);
}

/**
 * fake_remove_all - Unregister all devices and start again at id 0.
 * @bus: The bus.
 *
 * Context: Process context.
 */
void fake_remove_all(struct fake_bus *bus)
{
	/* what was added last hangs on the others */
	while (bus->count)
		fake_remove(bus, --bus->count);
}

/**
 * fake_want - Give a device another driver.
 * @test:     The test.
 * @fake_dev: The device.
 * @wants:    The driver, or NULL.
 *
 * Context: Process context.
 */
void fake_want(struct kunit *test, struct fake_dev *fake_dev, const char *wants)
{
	device_release_driver(&fake_dev->dev);
	fake_dev->wants = wants;
	KUNIT_ASSERT_EQ(test, device_attach(&fake_dev->dev), !!wants);
}

/**
 * fake_clear_log - Forget the calls.
 * @bus: The bus.
 *
 * Context: Any.
 */
void fake_clear_log(struct fake_bus *bus)
{
	bus->calls = 0;
	bus->questions = 0;
}

/**
 * fake_expect_idle - No device is marked, and none has a call outstanding.
 * @test: The test.
 *
 * Context: Process context.
 */
void fake_expect_idle(struct kunit *test)
{
	int i;

	for (i = 0; i < fake->count; i++) {
		struct fake_dev *d = fake->devs[i];

		if (!d)
			continue;
		KUNIT_ASSERT_EQ(test, d->stage[0], 0);
		KUNIT_ASSERT_EQ(test, d->stage[1], 0);
		KUNIT_ASSERT_FALSE(test, dev_liveupdate_preserved(&d->dev));
		KUNIT_ASSERT_FALSE(test, dev_liveupdate_frozen(&d->dev));
		KUNIT_ASSERT_FALSE(test, dev_liveupdate_incoming(&d->dev));
		KUNIT_ASSERT_FALSE(test, dev_liveupdate_reclaimed(&d->dev));
	}
}

/**
 * fake_expect_call - The next call in the log.
 * @test:  The test.
 * @at:    Where in the log; moves on.
 * @event: Its event.
 * @part:  'd'river or 'b'us.
 * @id:    Its device.
 *
 * Context: Process context.
 */
void fake_expect_call(struct kunit *test, int *at, char event, char part,
		      int id)
{
	KUNIT_ASSERT_LT(test, *at, fake->calls);
	KUNIT_ASSERT_EQ(test, fake->log[*at].event, event);
	KUNIT_ASSERT_EQ(test, fake->log[*at].part, part);
	KUNIT_ASSERT_EQ(test, fake->log[*at].id, id);
	(*at)++;
}

/**
 * fake_build - Build the outgoing set.
 * @test:  The test.
 * @ids:   The requested devices.
 * @count: Entries in @ids.
 *
 * Context: Process context.
 * Return: As dlu_set_build().
 */
int fake_build(struct kunit *test, const int *ids, int count)
{
	struct device **devs = kunit_kcalloc(test, count, sizeof(*devs),
					     GFP_KERNEL);
	struct dlu_why why;
	int i, err;

	KUNIT_ASSERT_NOT_NULL(test, devs);
	for (i = 0; i < count; i++)
		devs[i] = &fake->devs[ids[i]]->dev;
	err = dlu_set_build(&fake->out, devs, count, &why);
	if (err)
		kunit_info(test, "%s\n", why.text);

	return err;
}

/**
 * fake_build_one - Build the outgoing set for one requested device.
 * @test:     The test.
 * @fake_dev: The device.
 *
 * Context: Process context.
 * Return: As dlu_set_build().
 */
int fake_build_one(struct kunit *test, struct fake_dev *fake_dev)
{
	return fake_build(test, &fake_dev->id, 1);
}
