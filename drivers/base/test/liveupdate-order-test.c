// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of which devices come along, and in which order they are called
 * and rolled back.
 *
 * Random trees with device links, PFs and groups come from a fixed seed. What
 * the documentation promises is found anew here, by matrices, and compared with
 * the calls that the fake bus has logged.
 */
#include <kunit/test.h>
#include <linux/ktime.h>
#include <linux/prandom.h>

#include "liveupdate-fake-bus.h"

#define NODES	20
#define ROUNDS	30
#define SEED	20260301

/* A random host, and what is promised about it. */
struct order_test {
	struct rnd_state rnd;
	bool hangs[NODES][NODES];	/* [i][j]: i on j, maybe through others */
	bool expected[NODES];
	int requested[NODES];
	int requests;
	int place[NODES];		/* in the order of PREPARE */
	int order[NODES];		/* members by place */
	int members;
};

static u32 dice(struct order_test *t, u32 sides)
{
	return prandom_u32_state(&t->rnd) % sides;
}

static void link_to(struct kunit *test, struct fake_dev *consumer,
		    struct fake_dev *supplier)
{
	KUNIT_ASSERT_NOT_NULL(test, device_link_add(&consumer->dev,
						    &supplier->dev,
						    DL_FLAG_STATELESS));
}

/* Device @i hangs only on devices before it, so there is no loop. */
static void random_device(struct kunit *test, struct order_test *t, int i)
{
	struct fake_bus *bus = test->priv;
	struct fake_dev *parent = NULL, *d;
	int on;

	if (i && dice(t, 5)) {
		on = dice(t, i);
		parent = bus->devs[on];
		t->hangs[i][on] = true;
	}
	d = fake_new(test, dice(t, 4) ? FAKE_KEEPER : NULL, parent);
	if (!dice(t, 8)) {
		d->wants = NULL;
		fake_on_plain_bus(d);
	} else {
		d->group = dice(t, 2) ? (int)dice(t, 6) : FAKE_NOBODY;
	}
	if (i && dlu_takes_part(&d->dev) && !dice(t, 3)) {
		on = dice(t, i);
		d->suppliers[d->nr_suppliers++] = bus->devs[on];
		t->hangs[i][on] = true;
	}
	fake_add(test, d);
	if (i && !dice(t, 3)) {
		on = dice(t, i);
		link_to(test, d, bus->devs[on]);
		t->hangs[i][on] = true;
	}
}

/* What comes along, by going round until nothing new turns up. */
static void expect_members(struct kunit *test, struct order_test *t)
{
	struct fake_bus *bus = test->priv;
	bool grows = true;
	int i, j;

	for (i = 0; i < t->requests; i++)
		t->expected[t->requested[i]] = true;
	while (grows) {
		grows = false;
		for (i = 0; i < NODES; i++) {
			struct fake_dev *d = bus->devs[i];

			for (j = 0; t->expected[i] && j < NODES; j++) {
				bool group = d->group != FAKE_NOBODY &&
					     d->group == bus->devs[j]->group;

				if (t->expected[j] || !(t->hangs[i][j] || group))
					continue;
				t->expected[j] = true;
				grows = true;
			}
		}
	}
	for (i = 0; i < NODES; i++) {
		if (!dlu_takes_part(&bus->devs[i]->dev))
			t->expected[i] = false;
	}
}

/* Through any number of others. */
static void close_hangs(struct order_test *t)
{
	int i, j, k;

	for (k = 0; k < NODES; k++) {
		for (i = 0; i < NODES; i++) {
			for (j = 0; j < NODES; j++)
				t->hangs[i][j] |= t->hangs[i][k] &&
						  t->hangs[k][j];
		}
	}
}

static void random_host(struct kunit *test, struct order_test *t)
{
	struct fake_bus *bus = test->priv;
	struct rnd_state rnd = t->rnd;
	int i;

	fake_remove_all(bus);
	memset(t, 0, sizeof(*t));
	t->rnd = rnd;
	for (i = 0; i < NODES; i++)
		random_device(test, t, i);
	for (i = 0; i < NODES; i++) {
		if (bus->devs[i]->wants && !dice(t, 3))
			t->requested[t->requests++] = i;
	}
	expect_members(test, t);
	close_hangs(t);
	fake_clear_log(bus);
}

/* Reads the order from the calls of PREPARE: each member's bus once. */
static void note_order(struct kunit *test, struct order_test *t)
{
	struct fake_bus *bus = test->priv;
	int i;

	memset(t->place, -1, sizeof(t->place));
	for (i = 0; i < bus->calls; i++) {
		int id = bus->log[i].id;

		if (bus->log[i].event != 'p' || bus->log[i].part != 'b')
			continue;
		KUNIT_ASSERT_EQ(test, t->place[id], -1);
		t->place[id] = t->members;
		t->order[t->members++] = id;
	}
}

static void expect_order_is_right(struct kunit *test, struct order_test *t)
{
	int i, j;

	for (i = 0; i < NODES; i++) {
		KUNIT_ASSERT_EQ(test, t->place[i] >= 0, t->expected[i]);
		for (j = 0; j < NODES; j++) {
			if (t->hangs[i][j] && t->expected[i] && t->expected[j])
				KUNIT_ASSERT_LT(test, t->place[i], t->place[j]);
		}
	}
}

/* The calls of @event for the members at places @from to @to. */
static void expect_calls(struct kunit *test, struct order_test *t, int *at,
			 char event, int from, int to)
{
	struct fake_bus *bus = test->priv;
	bool back = event == 'c' || event == 'f';
	int i, step = from <= to ? 1 : -1;

	for (i = from; i != to + step; i += step) {
		int id = t->order[i];
		bool driver = bus->devs[id]->wants;

		if (driver && !back)
			fake_expect_call(test, at, event, 'd', id);
		fake_expect_call(test, at, event, 'b', id);
		if (driver && back)
			fake_expect_call(test, at, event, 'd', id);
	}
}

static void order_holds_in_random_hosts(struct kunit *test)
{
	struct order_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	struct fake_bus *bus = test->priv;
	int round, at, members = 0;

	KUNIT_ASSERT_NOT_NULL(test, t);
	prandom_seed_state(&t->rnd, SEED);
	for (round = 0; round < ROUNDS; round++) {
		random_host(test, t);
		KUNIT_ASSERT_EQ(test, fake_build(test, t->requested,
						 t->requests), 0);
		KUNIT_ASSERT_EQ(test, dlu_set_prepare(&bus->out), 0);
		note_order(test, t);
		expect_order_is_right(test, t);
		KUNIT_ASSERT_EQ(test, dlu_set_reboot(&bus->out), 0);
		dlu_set_cancel(&bus->out);

		at = 0;
		if (t->members) {
			expect_calls(test, t, &at, 'p', 0, t->members - 1);
			expect_calls(test, t, &at, 'r', 0, t->members - 1);
			expect_calls(test, t, &at, 'c', t->members - 1, 0);
		}
		KUNIT_ASSERT_EQ(test, at, bus->calls);
		fake_expect_idle(test);
		members += t->members;
	}
	KUNIT_EXPECT_GT(test, members, ROUNDS * NODES / 4);
}

/* Fails in turn: driver and bus of every member of some random hosts. */
static void fail_each(struct kunit *test, char event,
		      void (*expect)(struct kunit *test, struct order_test *t,
				     int k, char part))
{
	struct order_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	struct fake_bus *bus = test->priv;
	int round, k, part;

	KUNIT_ASSERT_NOT_NULL(test, t);
	prandom_seed_state(&t->rnd, SEED + event);
	for (round = 0; round < 5; round++) {
		random_host(test, t);
		KUNIT_ASSERT_EQ(test, fake_build(test, t->requested,
						 t->requests), 0);
		KUNIT_ASSERT_EQ(test, dlu_set_prepare(&bus->out), 0);
		note_order(test, t);
		dlu_set_cancel(&bus->out);
		for (k = 0; k < 2 * t->members; k++) {
			part = k % 2 ? 'b' : 'd';
			if (part == 'd' && !bus->devs[t->order[k / 2]]->wants)
				continue;
			fake_clear_log(bus);
			bus->fail = (struct fake_call){ event, part,
							t->order[k / 2] };
			expect(test, t, k / 2, part);
			bus->fail.id = FAKE_NOBODY;
			fake_expect_idle(test);
		}
	}
}

static void expect_prepare_failed(struct kunit *test, struct order_test *t,
				  int k, char part)
{
	struct fake_bus *bus = test->priv;
	int id = t->order[k];
	bool driver = bus->devs[id]->wants;
	int at = 0;

	KUNIT_ASSERT_EQ(test, fake_build(test, t->requested, t->requests), 0);
	KUNIT_ASSERT_EQ(test, dlu_set_prepare(&bus->out), -EIO);
	if (k)
		expect_calls(test, t, &at, 'p', 0, k - 1);
	if (driver)
		fake_expect_call(test, &at, 'p', 'd', id);
	if (part == 'b')
		fake_expect_call(test, &at, 'p', 'b', id);
	if (part == 'b' && driver)
		fake_expect_call(test, &at, 'c', 'd', id);
	if (k)
		expect_calls(test, t, &at, 'c', k - 1, 0);
	KUNIT_ASSERT_EQ(test, at, bus->calls);
	KUNIT_ASSERT_EQ(test, bus->out.count, 0);
}

static void failed_prepare_cancels_exactly_those_before(struct kunit *test)
{
	fail_each(test, 'p', expect_prepare_failed);
}

static void expect_reboot_failed(struct kunit *test, struct order_test *t,
				 int k, char part)
{
	struct fake_bus *bus = test->priv;
	int id = t->order[k];
	int at = 0;

	KUNIT_ASSERT_EQ(test, fake_build(test, t->requested, t->requests), 0);
	KUNIT_ASSERT_EQ(test, dlu_set_prepare(&bus->out), 0);
	KUNIT_ASSERT_EQ(test, dlu_set_reboot(&bus->out), -EIO);
	dlu_set_cancel(&bus->out);
	expect_calls(test, t, &at, 'p', 0, t->members - 1);
	if (k)
		expect_calls(test, t, &at, 'r', 0, k - 1);
	if (bus->devs[id]->wants)
		fake_expect_call(test, &at, 'r', 'd', id);
	if (part == 'b')
		fake_expect_call(test, &at, 'r', 'b', id);
	expect_calls(test, t, &at, 'c', t->members - 1, 0);
	KUNIT_ASSERT_EQ(test, at, bus->calls);
}

static void failed_reboot_cancels_all_that_prepared(struct kunit *test)
{
	fail_each(test, 'r', expect_reboot_failed);
}

static void late_failure_elsewhere_cancels_all_frozen(struct kunit *test)
{
	struct fake_bus *bus = test->priv;
	struct fake_dev *bridge = fake_add_new(test, FAKE_KEEPER, NULL);
	struct fake_dev *d = fake_add_new(test, FAKE_KEEPER, bridge);

	KUNIT_ASSERT_EQ(test, fake_build_one(test, d), 0);
	KUNIT_ASSERT_EQ(test, dlu_set_prepare(&bus->out), 0);
	KUNIT_ASSERT_EQ(test, dlu_set_reboot(&bus->out), 0);
	KUNIT_EXPECT_TRUE(test, dev_liveupdate_frozen(&d->dev));
	KUNIT_EXPECT_TRUE(test, dev_liveupdate_frozen(&bridge->dev));
	KUNIT_EXPECT_EQ(test, bus->out.count, 2);

	/* the IOMMU's REBOOT fails: the core of LUO cancels everybody */
	dlu_set_cancel(&bus->out);
	fake_expect_idle(test);

	/* and a retry succeeds */
	KUNIT_EXPECT_EQ(test, fake_build_one(test, d), 0);
	KUNIT_EXPECT_EQ(test, dlu_set_prepare(&bus->out), 0);
	KUNIT_EXPECT_EQ(test, dlu_set_reboot(&bus->out), 0);
}

static void group_comes_along_but_is_no_order(struct kunit *test)
{
	struct fake_bus *bus = test->priv;
	struct fake_dev *a = fake_add_new(test, FAKE_KEEPER, NULL);
	struct fake_dev *b = fake_add_new(test, NULL, NULL);

	/* each reaches the other's memory */
	a->group = 1;
	b->group = 1;
	KUNIT_ASSERT_EQ(test, fake_build_one(test, a), 0);
	KUNIT_EXPECT_EQ(test, bus->out.count, 2);
	KUNIT_EXPECT_TRUE(test, dev_liveupdate_preserved(&b->dev));
}

static void loop_of_suppliers_is_ELOOP(struct kunit *test)
{
	struct fake_bus *bus = test->priv;
	struct fake_dev *a = fake_add_new(test, FAKE_KEEPER, NULL);
	struct fake_dev *b = fake_add_new(test, FAKE_KEEPER, NULL);
	struct dlu_why why;

	a->suppliers[a->nr_suppliers++] = b;
	b->suppliers[b->nr_suppliers++] = a;
	KUNIT_EXPECT_EQ(test, dlu_possible(&a->dev, &why), -ELOOP);
	KUNIT_EXPECT_EQ(test, fake_build_one(test, a), -ELOOP);
	KUNIT_EXPECT_EQ(test, bus->out.count, 0);
	fake_expect_idle(test);
}

static void same_requests_give_same_order(struct kunit *test)
{
	struct order_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	struct fake_bus *bus = test->priv;
	int first[NODES];
	int again;

	KUNIT_ASSERT_NOT_NULL(test, t);
	prandom_seed_state(&t->rnd, SEED + 1);
	random_host(test, t);
	for (again = 0; again < 2; again++) {
		fake_clear_log(bus);
		t->members = 0;
		KUNIT_ASSERT_EQ(test, fake_build(test, t->requested,
						 t->requests), 0);
		KUNIT_ASSERT_EQ(test, dlu_set_prepare(&bus->out), 0);
		note_order(test, t);
		dlu_set_cancel(&bus->out);
		if (!again)
			memcpy(first, t->order, sizeof(first));
	}
	KUNIT_EXPECT_GT(test, t->members, 3);
	KUNIT_EXPECT_MEMEQ(test, first, t->order, t->members * sizeof(int));
}

/* One PF with @count VFs that share a group, all below one bridge. */
static int ask_about(struct kunit *test, int count)
{
	struct fake_bus *bus = test->priv;
	struct fake_dev *pf, *vf;
	int *ids, i, first;
	u64 built, prepared;

	fake_remove_all(bus);
	pf = fake_add_new(test, FAKE_KEEPER,
			  fake_add_new(test, FAKE_KEEPER, NULL));
	first = bus->count;
	ids = kunit_kcalloc(test, count, sizeof(*ids), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ids);
	for (i = 0; i < count; i++) {
		vf = fake_new(test, FAKE_KEEPER, bus->devs[0]);
		vf->suppliers[vf->nr_suppliers++] = pf;
		vf->group = 7;
		fake_add(test, vf);
		ids[i] = first + i;
	}
	fake_clear_log(bus);

	built = ktime_get_ns();
	KUNIT_ASSERT_EQ(test, fake_build(test, ids, count), 0);
	built = ktime_get_ns() - built;
	prepared = ktime_get_ns();
	KUNIT_ASSERT_EQ(test, dlu_set_prepare(&bus->out), 0);
	prepared = ktime_get_ns() - prepared;
	KUNIT_EXPECT_EQ(test, bus->out.count, count + 2);
	dlu_set_cancel(&bus->out);
	kunit_info(test, "%d devices: set built in %llu us, prepared in %llu us, %d questions\n",
		   count, built / 1000, prepared / 1000, bus->questions);

	return bus->questions;
}

static void cost_is_linear_up_to_1024_devices(struct kunit *test)
{
	int at256 = ask_about(test, 256);
	int at512 = ask_about(test, 512);
	int at1024 = ask_about(test, 1024);

	KUNIT_EXPECT_EQ(test, at1024 - at512, 2 * (at512 - at256));
}

static struct kunit_case order_cases[] = {
	KUNIT_CASE(order_holds_in_random_hosts),
	KUNIT_CASE(failed_prepare_cancels_exactly_those_before),
	KUNIT_CASE(failed_reboot_cancels_all_that_prepared),
	KUNIT_CASE(late_failure_elsewhere_cancels_all_frozen),
	KUNIT_CASE(group_comes_along_but_is_no_order),
	KUNIT_CASE(loop_of_suppliers_is_ELOOP),
	KUNIT_CASE(same_requests_give_same_order),
	KUNIT_CASE(cost_is_linear_up_to_1024_devices),
	{}
};

static struct kunit_suite order_suite = {
	.name = "liveupdate_dev_order",
	.suite_init = fake_bus_up,
	.suite_exit = fake_bus_down,
	.init = fake_bus_init,
	.exit = fake_bus_exit,
	.test_cases = order_cases,
};

kunit_test_suite(order_suite);
