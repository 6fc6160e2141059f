// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of single devices in a live update: what can be requested, and
 * what becomes of a device that is unbound, removed or lost meanwhile.
 */
#include <kunit/test.h>
#include <linux/device.h>
#include <linux/kernfs.h>
#include <linux/liveupdate.h>
#include <linux/string.h>

#include "liveupdate-fake-bus.h"

static unsigned int requested_count(struct kunit *test)
{
	struct device **devs;
	unsigned int count;

	devs = dlu_requested_get(&count);
	KUNIT_ASSERT_NOT_NULL(test, devs);
	dlu_requested_put(devs, count);

	return count;
}

/* The refusal names who is in the way and what it lacks, and changes nothing. */
static void expect_refused(struct kunit *test, struct fake_dev *d, int err,
			   struct fake_dev *culprit, const char *lack)
{
	struct dlu_why why;

	KUNIT_EXPECT_EQ(test, dlu_possible(&d->dev, &why), err);
	KUNIT_EXPECT_EQ(test, str_has_prefix(why.text,
					     dev_name(&culprit->dev)),
			strlen(dev_name(&culprit->dev)));
	KUNIT_EXPECT_NOT_NULL(test, strstr(why.text, lack));
	KUNIT_EXPECT_EQ(test, dlu_request(&d->dev), err);
	KUNIT_EXPECT_EQ(test, requested_count(test), 0);
}

static void refusal_names_the_device_and_what_it_lacks(struct kunit *test)
{
	struct fake_dev *a = fake_add_new(test, NULL, NULL);
	struct fake_dev *b = fake_add_new(test, FAKE_STRANGER, NULL);
	struct fake_dev *c = fake_add_new(test, FAKE_KEEPER, NULL);
	struct fake_dev *plain = fake_new(test, NULL, NULL);

	expect_refused(test, a, -ENODEV, a, "has no driver");
	expect_refused(test, b, -EOPNOTSUPP, b, FAKE_STRANGER);
	c->impossible = -EXDEV;
	expect_refused(test, c, -EXDEV, c, "is broken");
	c->impossible = 0;
	c->pathless = -ENAMETOOLONG;
	expect_refused(test, c, -ENAMETOOLONG, c, "path");

	fake_on_plain_bus(plain);
	fake_add(test, plain);
	expect_refused(test, plain, -EOPNOTSUPP, plain, "is on a bus");
}

static void what_it_hangs_on_is_asked_too(struct kunit *test)
{
	struct fake_dev *stranger = fake_add_new(test, FAKE_STRANGER, NULL);
	struct fake_dev *child = fake_add_new(test, FAKE_KEEPER, stranger);
	struct fake_dev *vf = fake_add_new(test, FAKE_KEEPER, NULL);
	struct fake_dev *consumer = fake_add_new(test, FAKE_KEEPER, NULL);
	struct fake_dev *neighbour = fake_add_new(test, FAKE_KEEPER, NULL);

	expect_refused(test, child, -EOPNOTSUPP, stranger, FAKE_STRANGER);

	vf->suppliers[vf->nr_suppliers++] = stranger;
	expect_refused(test, vf, -EOPNOTSUPP, stranger, FAKE_STRANGER);

	KUNIT_ASSERT_NOT_NULL(test, device_link_add(&consumer->dev,
						    &stranger->dev,
						    DL_FLAG_STATELESS));
	expect_refused(test, consumer, -EOPNOTSUPP, stranger, FAKE_STRANGER);

	neighbour->group = 3;
	stranger->group = 3;
	expect_refused(test, neighbour, -EOPNOTSUPP, stranger, FAKE_STRANGER);
}

static void ancestor_on_another_bus_counts_by_its_driver(struct kunit *test)
{
	struct fake_dev *quiet = fake_new(test, NULL, NULL);
	struct fake_dev *driven = fake_new(test, FAKE_PLAIN, NULL);
	struct fake_dev *a, *b;
	struct dlu_why why;

	fake_on_plain_bus(quiet);
	fake_add(test, quiet);
	fake_on_plain_bus(driven);
	fake_add(test, driven);
	a = fake_add_new(test, FAKE_KEEPER, quiet);
	b = fake_add_new(test, FAKE_KEEPER, driven);

	KUNIT_EXPECT_EQ(test, dlu_possible(&a->dev, &why), 0);
	expect_refused(test, b, -EOPNOTSUPP, driven, FAKE_PLAIN);
}

static void request_can_be_withdrawn(struct kunit *test)
{
	struct fake_dev *d = fake_add_new(test, FAKE_KEEPER, NULL);

	KUNIT_EXPECT_EQ(test, dlu_request(&d->dev), 0);
	KUNIT_EXPECT_EQ(test, dlu_request(&d->dev), 0);
	KUNIT_EXPECT_EQ(test, requested_count(test), 1);
	dlu_withdraw(&d->dev);
	KUNIT_EXPECT_EQ(test, requested_count(test), 0);
}

static void removed_device_is_requested_no_longer(struct kunit *test)
{
	struct fake_dev *d = fake_add_new(test, FAKE_KEEPER, NULL);

	KUNIT_ASSERT_EQ(test, dlu_request(&d->dev), 0);
	/* somebody may hold it for long */
	get_device(&d->dev);
	fake_remove(test->priv, d->id);
	KUNIT_EXPECT_EQ(test, requested_count(test), 0);
	KUNIT_EXPECT_EQ(test, dlu_request(&d->dev), -ENODEV);
	put_device(&d->dev);
}

static void prepare_looks_again_after_the_request(struct kunit *test)
{
	struct fake_bus *bus = test->priv;
	struct fake_dev *pf = fake_add_new(test, FAKE_KEEPER, NULL);
	struct fake_dev *vf = fake_add_new(test, FAKE_KEEPER, NULL);

	vf->suppliers[vf->nr_suppliers++] = pf;
	KUNIT_ASSERT_EQ(test, dlu_request(&vf->dev), 0);
	fake_want(test, pf, FAKE_STRANGER);
	KUNIT_EXPECT_EQ(test, fake_build_one(test, vf), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, bus->out.count, 0);
	fake_expect_idle(test);
	fake_want(test, pf, FAKE_OTHER);
	KUNIT_EXPECT_EQ(test, fake_build_one(test, vf), 0);
}

static void attributes_only_where_the_bus_takes_part(struct kunit *test)
{
	struct fake_dev *d = fake_add_new(test, FAKE_KEEPER, NULL);
	struct fake_dev *plain = fake_new(test, NULL, NULL);
	struct kernfs_node *dir;

	if (!liveupdate_enabled())
		kunit_skip(test, "needs liveupdate=on");
	fake_on_plain_bus(plain);
	fake_add(test, plain);
	dir = kernfs_find_and_get(d->dev.kobj.sd, DLU_GROUP);
	KUNIT_EXPECT_NOT_NULL(test, dir);
	kernfs_put(dir);
	dir = kernfs_find_and_get(plain->dev.kobj.sd, DLU_GROUP);
	KUNIT_EXPECT_NULL(test, dir);
}

/* A file that was never given to anybody has no attributes of its own. */
static void requested_is_never_given_to_another_owner(struct kunit *test)
{
	struct fake_dev *d = fake_add_new(test, FAKE_KEEPER, NULL);
	struct kernfs_node *dir, *requested, *uevent;

	if (!liveupdate_enabled())
		kunit_skip(test, "needs liveupdate=on");
	device_change_owner(&d->dev, KUIDT_INIT(1000), KGIDT_INIT(1000));

	uevent = kernfs_find_and_get(d->dev.kobj.sd, "uevent");
	KUNIT_ASSERT_NOT_NULL(test, uevent);
	KUNIT_EXPECT_NOT_NULL(test, uevent->iattr);
	kernfs_put(uevent);

	dir = kernfs_find_and_get(d->dev.kobj.sd, DLU_GROUP);
	KUNIT_ASSERT_NOT_NULL(test, dir);
	requested = kernfs_find_and_get(dir, "requested");
	kernfs_put(dir);
	KUNIT_ASSERT_NOT_NULL(test, requested);
	KUNIT_EXPECT_NULL(test, requested->iattr);
	kernfs_put(requested);
}

static void preserved_device_cannot_be_unbound(struct kunit *test)
{
	struct fake_bus *bus = test->priv;
	struct fake_dev *d = fake_add_new(test, FAKE_KEEPER, NULL);

	KUNIT_ASSERT_EQ(test, fake_build_one(test, d), 0);
	KUNIT_ASSERT_EQ(test, dlu_set_prepare(&bus->out), 0);
	fake_clear_log(bus);
	KUNIT_EXPECT_EQ(test, device_driver_try_detach(&d->dev), -EBUSY);
	KUNIT_EXPECT_EQ(test, device_reprobe(&d->dev), -EBUSY);
	KUNIT_EXPECT_EQ(test, bus->calls, 0);
	KUNIT_EXPECT_TRUE(test, device_is_bound(&d->dev));

	dlu_set_cancel(&bus->out);
	KUNIT_EXPECT_EQ(test, device_driver_try_detach(&d->dev), 0);
	KUNIT_EXPECT_FALSE(test, device_is_bound(&d->dev));
}

/* A set of a requested device, its bridge, and another on that bridge. */
struct three {
	struct fake_dev *bridge;
	struct fake_dev *a;
	struct fake_dev *b;
};

static void prepare_three(struct kunit *test, struct three *t)
{
	struct fake_bus *bus = test->priv;
	int ids[2];

	t->bridge = fake_add_new(test, FAKE_KEEPER, NULL);
	t->a = fake_add_new(test, FAKE_KEEPER, t->bridge);
	t->b = fake_add_new(test, FAKE_KEEPER, t->bridge);
	ids[0] = t->a->id;
	ids[1] = t->b->id;
	KUNIT_ASSERT_EQ(test, fake_build(test, ids, 2), 0);
	KUNIT_ASSERT_EQ(test, dlu_set_prepare(&bus->out), 0);
	fake_clear_log(bus);
}

/* REBOOT and CANCEL of all but a, which has gone. */
static void expect_others_go_on(struct kunit *test, struct three *t, int at)
{
	struct fake_bus *bus = test->priv;

	KUNIT_EXPECT_EQ(test, dlu_set_reboot(&bus->out), 0);
	dlu_set_cancel(&bus->out);
	fake_expect_call(test, &at, 'r', 'd', t->b->id);
	fake_expect_call(test, &at, 'r', 'b', t->b->id);
	fake_expect_call(test, &at, 'r', 'd', t->bridge->id);
	fake_expect_call(test, &at, 'r', 'b', t->bridge->id);
	fake_expect_call(test, &at, 'c', 'b', t->bridge->id);
	fake_expect_call(test, &at, 'c', 'd', t->bridge->id);
	fake_expect_call(test, &at, 'c', 'b', t->b->id);
	fake_expect_call(test, &at, 'c', 'd', t->b->id);
	KUNIT_EXPECT_EQ(test, at, bus->calls);
	fake_expect_idle(test);
}

static void removed_device_is_cancelled_before_its_driver_goes(struct kunit *test)
{
	struct three t;
	int at = 0;

	prepare_three(test, &t);
	fake_remove(test->priv, t.a->id);
	fake_expect_call(test, &at, 'c', 'b', 1);
	fake_expect_call(test, &at, 'c', 'd', 1);
	fake_expect_call(test, &at, 'u', 'd', 1);
	expect_others_go_on(test, &t, at);
}

static void device_whose_driver_is_taken_away_is_cancelled_first(struct kunit *test)
{
	struct three t;
	int at = 0;

	prepare_three(test, &t);
	device_release_driver(&t.a->dev);
	KUNIT_EXPECT_FALSE(test, dev_liveupdate_preserved(&t.a->dev));
	fake_expect_call(test, &at, 'c', 'b', t.a->id);
	fake_expect_call(test, &at, 'c', 'd', t.a->id);
	fake_expect_call(test, &at, 'u', 'd', t.a->id);
	expect_others_go_on(test, &t, at);
}

static void remove_second(struct fake_bus *bus)
{
	fake_remove(bus, 1);
}

/* The walk goes on from a device that has no successor any more. */
static void device_may_go_in_the_middle_of_a_walk(struct kunit *test)
{
	struct fake_bus *bus = test->priv;
	struct three t;
	int at = 0;

	prepare_three(test, &t);
	dlu_set_cancel(&bus->out);
	fake_clear_log(bus);
	KUNIT_ASSERT_EQ(test, fake_build(test, (int[]){ 2, 1 }, 2), 0);
	bus->at = (struct fake_call){ 'p', 'd', 2 };
	bus->surprise = remove_second;
	KUNIT_EXPECT_EQ(test, dlu_set_prepare(&bus->out), 0);
	fake_expect_call(test, &at, 'p', 'd', 2);
	fake_expect_call(test, &at, 'u', 'd', 1);
	fake_expect_call(test, &at, 'p', 'b', 2);
	fake_expect_call(test, &at, 'p', 'd', 0);
	fake_expect_call(test, &at, 'p', 'b', 0);
	KUNIT_EXPECT_EQ(test, at, bus->calls);
}

static void lost_device_gets_its_cancel_and_nothing_else(struct kunit *test)
{
	struct fake_bus *bus = test->priv;
	struct three t;
	int at = 0;

	prepare_three(test, &t);
	dev_liveupdate_lost(&t.a->dev, "pulled out");
	KUNIT_EXPECT_FALSE(test, dev_liveupdate_preserved(&t.a->dev));
	KUNIT_EXPECT_EQ(test, dlu_set_reboot(&bus->out), 0);
	KUNIT_EXPECT_FALSE(test, dev_liveupdate_frozen(&t.a->dev));
	KUNIT_EXPECT_TRUE(test, dev_liveupdate_frozen(&t.b->dev));
	KUNIT_EXPECT_EQ(test, bus->calls, 4);
	fake_clear_log(bus);

	dlu_set_cancel(&bus->out);
	fake_expect_call(test, &at, 'c', 'b', t.bridge->id);
	fake_expect_call(test, &at, 'c', 'd', t.bridge->id);
	fake_expect_call(test, &at, 'c', 'b', t.b->id);
	fake_expect_call(test, &at, 'c', 'd', t.b->id);
	fake_expect_call(test, &at, 'c', 'b', t.a->id);
	fake_expect_call(test, &at, 'c', 'd', t.a->id);
	KUNIT_EXPECT_EQ(test, at, bus->calls);
	fake_expect_idle(test);
}

static void device_lost_after_reboot_is_shut_down(struct kunit *test)
{
	struct fake_bus *bus = test->priv;
	struct three t;

	prepare_three(test, &t);
	KUNIT_ASSERT_EQ(test, dlu_set_reboot(&bus->out), 0);
	KUNIT_EXPECT_TRUE(test, dev_liveupdate_frozen(&t.a->dev));
	dev_liveupdate_lost(&t.a->dev, "pulled out");
	KUNIT_EXPECT_FALSE(test, dev_liveupdate_frozen(&t.a->dev));
}

static void ordinary_device_is_not_busy(struct kunit *test)
{
	struct fake_dev *d = fake_add_new(test, FAKE_KEEPER, NULL);

	KUNIT_EXPECT_EQ(test, dev_liveupdate_busy(&d->dev), 0);
	device_lock(&d->dev);
	KUNIT_EXPECT_EQ(test, dev_liveupdate_reclaim(&d->dev), -ENODEV);
	device_unlock(&d->dev);
	dev_liveupdate_lost(&d->dev, "not at all");
	KUNIT_EXPECT_NULL(test, d->dev.liveupdate);
}

#ifdef CONFIG_DEBUG_FS
static void fault_is_injected_once_and_by_name(struct kunit *test)
{
	struct fake_bus *bus = test->priv;
	struct fake_dev *d = fake_add_new(test, FAKE_KEEPER, NULL);

	KUNIT_EXPECT_EQ(test, dlu_fault_set("prepare lufake-0 driver"), -EINVAL);
	KUNIT_EXPECT_EQ(test, dlu_fault_set("cancel lufake-0 driver 5"), -EINVAL);
	KUNIT_EXPECT_EQ(test, dlu_fault_set("prepare lufake-0 card 5"), -EINVAL);
	KUNIT_EXPECT_EQ(test, dlu_fault_set("prepare lufake-0 bus 0"), -EINVAL);
	KUNIT_EXPECT_EQ(test, dlu_fault_set("prepare lufake-0 bus 5 6"), -EINVAL);

	KUNIT_ASSERT_EQ(test, dlu_fault_set("prepare lufake-0 bus 28\n"), 0);
	KUNIT_ASSERT_EQ(test, fake_build_one(test, d), 0);
	KUNIT_EXPECT_EQ(test, dlu_set_prepare(&bus->out), -ENOSPC);
	fake_expect_idle(test);

	KUNIT_ASSERT_EQ(test, fake_build_one(test, d), 0);
	KUNIT_EXPECT_EQ(test, dlu_set_prepare(&bus->out), 0);
	KUNIT_ASSERT_EQ(test, dlu_fault_set("reboot lufake-0 driver 12"), 0);
	KUNIT_ASSERT_EQ(test, dlu_fault_set("\n"), 0);
	KUNIT_EXPECT_EQ(test, dlu_set_reboot(&bus->out), 0);
}
#endif

static struct kunit_case device_cases[] = {
	KUNIT_CASE(refusal_names_the_device_and_what_it_lacks),
	KUNIT_CASE(what_it_hangs_on_is_asked_too),
	KUNIT_CASE(ancestor_on_another_bus_counts_by_its_driver),
	KUNIT_CASE(request_can_be_withdrawn),
	KUNIT_CASE(removed_device_is_requested_no_longer),
	KUNIT_CASE(prepare_looks_again_after_the_request),
	KUNIT_CASE(attributes_only_where_the_bus_takes_part),
	KUNIT_CASE(requested_is_never_given_to_another_owner),
	KUNIT_CASE(preserved_device_cannot_be_unbound),
	KUNIT_CASE(removed_device_is_cancelled_before_its_driver_goes),
	KUNIT_CASE(device_whose_driver_is_taken_away_is_cancelled_first),
	KUNIT_CASE(device_may_go_in_the_middle_of_a_walk),
	KUNIT_CASE(lost_device_gets_its_cancel_and_nothing_else),
	KUNIT_CASE(device_lost_after_reboot_is_shut_down),
	KUNIT_CASE(ordinary_device_is_not_busy),
#ifdef CONFIG_DEBUG_FS
	KUNIT_CASE(fault_is_injected_once_and_by_name),
#endif
	{}
};

static struct kunit_suite device_suite = {
	.name = "liveupdate_dev",
	.suite_init = fake_bus_up,
	.suite_exit = fake_bus_down,
	.init = fake_bus_init,
	.exit = fake_bus_exit,
	.test_cases = device_cases,
};

kunit_test_suite(device_suite);
