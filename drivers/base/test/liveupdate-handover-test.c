// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the records that one kernel leaves for the next: that they say
 * the same on both sides, that no field is trusted, and what the incoming kernel
 * does with devices that were handed over.
 */
#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/device.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/string.h>

#include "liveupdate-fake-bus.h"

/* All memory that the fake outgoing kernel kept, by address. */
#define KEPT	3
static struct page *kept[KEPT];
static unsigned int kept_order[KEPT];

static bool fake_handed_over(phys_addr_t pa, unsigned int order)
{
	int i;

	for (i = 0; i < KEPT; i++) {
		if (kept[i] && page_to_phys(kept[i]) == pa &&
		    kept_order[i] == order)
			return true;
	}

	return false;
}

static struct page *fake_restore(phys_addr_t pa, unsigned int order)
{
	return fake_handed_over(pa, order) ? phys_to_page(pa) : NULL;
}

/* A page that the test can still look at when its owner has freed it. */
static void keep(struct kunit *test, int i, unsigned int order)
{
	kept[i] = alloc_pages(GFP_KERNEL | __GFP_COMP, order);
	KUNIT_ASSERT_NOT_NULL(test, kept[i]);
	kept_order[i] = order;
	get_page(kept[i]);
}

static bool freed(int i)
{
	return page_count(kept[i]) == 1;
}

static int handover_init(struct kunit *test)
{
	int err = fake_bus_init(test);

	if (err)
		return err;
	kunit_activate_static_stub(test, dlu_pages_handed_over,
				   fake_handed_over);
	kunit_activate_static_stub(test, dlu_pages_restore, fake_restore);

	return 0;
}

static void handover_exit(struct kunit *test)
{
	int i;

	fake_bus_exit(test);
	for (i = 0; i < KEPT; i++) {
		if (!kept[i])
			continue;
		if (!freed(i))
			put_page(kept[i]);
		put_page(kept[i]);
		kept[i] = NULL;
	}
}

static struct dev_liveupdate_set_ser *new_payload(struct kunit *test, u32 count)
{
	struct dev_liveupdate_set_ser *payload;

	payload = kunit_kzalloc(test, dlu_payload_size(count), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, payload);
	payload->count = count;

	return payload;
}

/* The record of fake device @id. */
static void write_record(struct dev_liveupdate_ser *record, int id,
			 const char *driver)
{
	memset(record, 0, sizeof(*record));
	strscpy(record->bus, "lufake");
	strscpy(record->driver, driver);
	snprintf(record->path, sizeof(record->path), "root/%d", id);
	record->driver_data = 1000 + id;
	record->bus_data = 2000 + id;
}

static void add_pages(struct dev_liveupdate_ser *record, int i)
{
	struct dev_liveupdate_pages_ser *pages =
		&record->pages[record->nr_pages++];

	pages->pa = page_to_phys(kept[i]);
	pages->order = kept_order[i];
}

static int read_payload(struct kunit *test,
			const struct dev_liveupdate_set_ser *payload)
{
	struct fake_bus *bus = test->priv;

	return dlu_payload_read(&bus->in, payload,
				dlu_payload_size(payload->count));
}

/* One device that came through the kexec, and its record. */
static struct fake_dev *incoming(struct kunit *test, const char *recorded,
				 const char *wants)
{
	struct dev_liveupdate_set_ser *payload = new_payload(test, 1);
	struct fake_bus *bus = test->priv;
	struct fake_dev *d = fake_new(test, wants, NULL);

	write_record(&payload->devices[0], d->id, recorded);
	KUNIT_ASSERT_EQ(test, read_payload(test, payload), 0);
	KUNIT_ASSERT_EQ(test, dlu_adopt(&bus->in, &d->dev), 0);
	fake_add(test, d);

	return d;
}

static int reclaim(struct fake_dev *d)
{
	guard(device)(&d->dev);
	return dev_liveupdate_reclaim(&d->dev);
}

static void records_say_the_same_on_both_sides(struct kunit *test)
{
	struct dev_liveupdate_set_ser *payload = new_payload(test, 2);
	struct fake_bus *bus = test->priv;
	struct fake_dev *pf = fake_add_new(test, FAKE_OTHER, NULL);
	struct fake_dev *vf = fake_add_new(test, FAKE_KEEPER, pf);

	KUNIT_ASSERT_EQ(test, fake_build_one(test, vf), 0);
	KUNIT_ASSERT_EQ(test, dlu_set_prepare(&bus->out), 0);
	dev_liveupdate_set_driver_data(&vf->dev, 0x1122334455667788);
	dev_liveupdate_set_bus_data(&vf->dev, 42);
	KUNIT_ASSERT_EQ(test, dlu_set_reboot(&bus->out), 0);
	KUNIT_ASSERT_EQ(test, dlu_payload_write(&bus->out, payload), 0);
	dlu_set_cancel(&bus->out);
	KUNIT_ASSERT_EQ(test, payload->count, 2);
	KUNIT_EXPECT_STREQ(test, payload->devices[0].driver, FAKE_KEEPER);
	KUNIT_EXPECT_STREQ(test, payload->devices[1].driver, FAKE_OTHER);

	KUNIT_ASSERT_EQ(test, read_payload(test, payload), 0);
	KUNIT_EXPECT_EQ(test, bus->in.set.count, 2);
	KUNIT_EXPECT_EQ(test, dlu_adopt(&bus->in, &vf->dev), 0);
	KUNIT_EXPECT_EQ(test, dlu_adopt(&bus->in, &vf->dev), 0);
	KUNIT_EXPECT_TRUE(test, dev_liveupdate_incoming(&vf->dev));
	KUNIT_EXPECT_TRUE(test, dev_liveupdate_preserved(&vf->dev));
	KUNIT_EXPECT_FALSE(test, dev_liveupdate_reclaimed(&vf->dev));
	KUNIT_EXPECT_FALSE(test, dev_liveupdate_frozen(&vf->dev));
	KUNIT_EXPECT_EQ(test, dev_liveupdate_driver_data(&vf->dev),
			0x1122334455667788);
	KUNIT_EXPECT_EQ(test, dev_liveupdate_bus_data(&vf->dev), 42);
	KUNIT_EXPECT_FALSE(test, dev_liveupdate_incoming(&pf->dev));
}

static void lost_device_has_no_record(struct kunit *test)
{
	struct dev_liveupdate_set_ser *payload = new_payload(test, 2);
	struct fake_bus *bus = test->priv;
	struct fake_dev *pf = fake_add_new(test, FAKE_KEEPER, NULL);
	struct fake_dev *vf = fake_add_new(test, FAKE_KEEPER, pf);

	KUNIT_ASSERT_EQ(test, fake_build_one(test, vf), 0);
	KUNIT_ASSERT_EQ(test, dlu_set_prepare(&bus->out), 0);
	dev_liveupdate_lost(&vf->dev, "pulled out");
	KUNIT_ASSERT_EQ(test, dlu_set_reboot(&bus->out), 0);
	KUNIT_ASSERT_EQ(test, dlu_payload_write(&bus->out, payload), 0);
	KUNIT_ASSERT_EQ(test, payload->count, 1);
	KUNIT_EXPECT_STREQ(test, payload->devices[0].path, "root/0");

	/* the payload was made when there were two */
	dlu_set_cancel(&bus->out);
	KUNIT_EXPECT_EQ(test, dlu_payload_read(&bus->in, payload,
					       dlu_payload_size(2)), 0);
	KUNIT_EXPECT_EQ(test, bus->in.set.count, 1);
}

/* What is read of a good record, a record that @spoil changed, a good record. */
static unsigned int read_spoilt(struct kunit *test,
				void (*spoil)(struct dev_liveupdate_ser *record))
{
	struct dev_liveupdate_set_ser *payload = new_payload(test, 3);
	struct fake_bus *bus = test->priv;
	unsigned int count;
	int i;

	for (i = 0; i < 3; i++)
		write_record(&payload->devices[i], i, FAKE_KEEPER);
	add_pages(&payload->devices[1], 0);
	add_pages(&payload->devices[1], 1);
	if (spoil)
		spoil(&payload->devices[1]);
	KUNIT_ASSERT_EQ(test, read_payload(test, payload), 0);
	count = bus->in.set.count;
	/* must not free what it did not believe */
	for (i = 0; spoil && i < count; i++)
		KUNIT_EXPECT_EQ(test, bus->in.set.slots[i].nr_pages, 0);
	dlu_set_clear(&bus->in.set);

	return count;
}

static void spoil_bus_end(struct dev_liveupdate_ser *record)
{
	memset(record->bus, 'x', sizeof(record->bus));
}

static void spoil_bus_empty(struct dev_liveupdate_ser *record)
{
	memset(record->bus, 0, sizeof(record->bus));
}

static void spoil_bus_padding(struct dev_liveupdate_ser *record)
{
	record->bus[sizeof(record->bus) - 1] = 'x';
}

static void spoil_path_end(struct dev_liveupdate_ser *record)
{
	memset(record->path, 'x', sizeof(record->path));
}

static void spoil_path_empty(struct dev_liveupdate_ser *record)
{
	memset(record->path, 0, sizeof(record->path));
}

static void spoil_path_control(struct dev_liveupdate_ser *record)
{
	record->path[1] = '\n';
}

static void spoil_path_high(struct dev_liveupdate_ser *record)
{
	record->path[1] = '\xe4';
}

static void spoil_path_twin(struct dev_liveupdate_ser *record)
{
	strscpy(record->path, "root/0");
}

static void spoil_driver_end(struct dev_liveupdate_ser *record)
{
	memset(record->driver, 'x', sizeof(record->driver));
}

static void spoil_driver_control(struct dev_liveupdate_ser *record)
{
	record->driver[0] = '\x1b';
}

static void spoil_reserved(struct dev_liveupdate_ser *record)
{
	record->reserved = 1;
}

static void spoil_nr_pages(struct dev_liveupdate_ser *record)
{
	record->nr_pages = DEV_LIVEUPDATE_MAX_PAGES + 1;
}

static void spoil_pages_reserved(struct dev_liveupdate_ser *record)
{
	record->pages[1].reserved = 1;
}

static void spoil_order_huge(struct dev_liveupdate_ser *record)
{
	record->pages[1].order = 64;
}

static void spoil_order_small(struct dev_liveupdate_ser *record)
{
	record->pages[1].order--;
}

static void spoil_pa_offset(struct dev_liveupdate_ser *record)
{
	record->pages[1].pa += 8;
}

static void spoil_pa_inside(struct dev_liveupdate_ser *record)
{
	record->pages[1].pa += PAGE_SIZE;
}

static void spoil_pa_elsewhere(struct dev_liveupdate_ser *record)
{
	record->pages[1].pa = 0;
}

static void no_field_of_a_record_is_trusted(struct kunit *test)
{
	static void (*const spoils[])(struct dev_liveupdate_ser *record) = {
		spoil_bus_end, spoil_bus_empty, spoil_bus_padding,
		spoil_path_end, spoil_path_empty, spoil_path_control,
		spoil_path_high, spoil_path_twin, spoil_driver_end,
		spoil_driver_control, spoil_reserved, spoil_nr_pages,
		spoil_pages_reserved, spoil_order_huge, spoil_order_small,
		spoil_pa_offset, spoil_pa_inside, spoil_pa_elsewhere,
	};
	int i;

	keep(test, 0, 0);
	keep(test, 1, 2);
	KUNIT_ASSERT_EQ(test, read_spoilt(test, NULL), 3);
	for (i = 0; i < ARRAY_SIZE(spoils); i++)
		KUNIT_EXPECT_EQ_MSG(test, read_spoilt(test, spoils[i]), 2,
				    "%ps", spoils[i]);
}

static void length_must_fit_the_count(struct kunit *test)
{
	struct dev_liveupdate_set_ser *payload = new_payload(test, 2);
	size_t len = dlu_payload_size(2);
	struct fake_bus *bus = test->priv;
	struct dlu_incoming *in = &bus->in;

	write_record(&payload->devices[0], 0, FAKE_KEEPER);
	write_record(&payload->devices[1], 1, FAKE_KEEPER);
	KUNIT_EXPECT_EQ(test, dlu_payload_read(in, payload, 4), -EMSGSIZE);
	KUNIT_EXPECT_EQ(test, dlu_payload_read(in, payload, len - 1), -EMSGSIZE);
	payload->count = 3;
	KUNIT_EXPECT_EQ(test, dlu_payload_read(in, payload, len), -EMSGSIZE);
	payload->count = U32_MAX;
	KUNIT_EXPECT_EQ(test, dlu_payload_read(in, payload, len), -EMSGSIZE);
	payload->count = 2;
	payload->reserved = 1;
	KUNIT_EXPECT_EQ(test, dlu_payload_read(in, payload, len), -EMSGSIZE);
	payload->reserved = 0;
	/* room for two: one was lost after it had been made */
	payload->count = 1;
	KUNIT_EXPECT_EQ(test, dlu_payload_read(in, payload, len), 0);
	KUNIT_EXPECT_EQ(test, in->set.count, 1);
}

static void finish_is_the_exact_reverse_of_prepare(struct kunit *test)
{
	struct dev_liveupdate_set_ser *payload = new_payload(test, 3);
	struct fake_bus *bus = test->priv;
	int i, at = 0;

	/* records in the order of PREPARE: 2, 1, 0 */
	for (i = 0; i < 3; i++) {
		fake_add_new(test, FAKE_KEEPER, NULL);
		write_record(&payload->devices[i], 2 - i, FAKE_KEEPER);
	}
	KUNIT_ASSERT_EQ(test, read_payload(test, payload), 0);
	for (i = 0; i < 3; i++)
		KUNIT_ASSERT_EQ(test, dlu_adopt(&bus->in, &bus->devs[i]->dev), 0);
	KUNIT_ASSERT_EQ(test, reclaim(bus->devs[1]), 0);
	KUNIT_EXPECT_TRUE(test, dev_liveupdate_reclaimed(&bus->devs[1]->dev));

	dlu_incoming_finish(&bus->in);
	for (i = 0; i < 3; i++) {
		fake_expect_call(test, &at, 'f', 'b', i);
		fake_expect_call(test, &at, 'f', 'd', i);
	}
	KUNIT_EXPECT_EQ(test, at, bus->calls);
	fake_expect_idle(test);

	/* and the next update may come */
	KUNIT_EXPECT_EQ(test, fake_build_one(test, bus->devs[1]), 0);
	KUNIT_EXPECT_EQ(test, dlu_set_prepare(&bus->out), 0);
}

static void only_the_recorded_driver_may_probe(struct kunit *test)
{
	struct fake_dev *right = incoming(test, FAKE_OTHER, FAKE_OTHER);

	KUNIT_EXPECT_TRUE(test, device_is_bound(&right->dev));
}

static void other_driver_waits_for_finish(struct kunit *test)
{
	struct fake_bus *bus = test->priv;
	struct fake_dev *d = incoming(test, FAKE_OTHER, FAKE_KEEPER);

	KUNIT_EXPECT_FALSE(test, device_is_bound(&d->dev));
	dlu_incoming_finish(&bus->in);
	flush_work(&d->dev.liveupdate->reprobe);
	KUNIT_EXPECT_TRUE(test, device_is_bound(&d->dev));
}

static void driver_without_callbacks_waits_for_finish(struct kunit *test)
{
	struct fake_bus *bus = test->priv;
	struct fake_dev *d = incoming(test, FAKE_STRANGER, FAKE_STRANGER);

	KUNIT_EXPECT_FALSE(test, device_is_bound(&d->dev));
	dlu_incoming_finish(&bus->in);
	flush_work(&d->dev.liveupdate->reprobe);
	KUNIT_EXPECT_TRUE(test, device_is_bound(&d->dev));
}

static void reclaimed_until_finish_and_not_unbound(struct kunit *test)
{
	struct fake_bus *bus = test->priv;
	struct fake_dev *d = incoming(test, FAKE_KEEPER, FAKE_KEEPER);

	KUNIT_EXPECT_FALSE(test, dev_liveupdate_reclaimed(&d->dev));
	KUNIT_EXPECT_EQ(test, reclaim(d), 0);
	KUNIT_EXPECT_EQ(test, reclaim(d), 0);
	KUNIT_EXPECT_TRUE(test, dev_liveupdate_reclaimed(&d->dev));
	KUNIT_EXPECT_EQ(test, device_driver_try_detach(&d->dev), -EBUSY);
	dlu_incoming_finish(&bus->in);
	KUNIT_EXPECT_FALSE(test, dev_liveupdate_reclaimed(&d->dev));
	KUNIT_EXPECT_EQ(test, reclaim(d), -ENODEV);
	KUNIT_EXPECT_EQ(test, device_driver_try_detach(&d->dev), 0);
}

static void driver_that_fails_to_probe_has_not_reclaimed(struct kunit *test)
{
	struct fake_dev *d = incoming(test, FAKE_FAILING, FAKE_FAILING);

	KUNIT_EXPECT_FALSE(test, device_is_bound(&d->dev));
	KUNIT_EXPECT_TRUE(test, dev_liveupdate_incoming(&d->dev));
	KUNIT_EXPECT_FALSE(test, dev_liveupdate_reclaimed(&d->dev));
}

static void device_lost_at_boot_is_an_ordinary_one(struct kunit *test)
{
	struct fake_bus *bus = test->priv;
	struct fake_dev *d = incoming(test, FAKE_OTHER, FAKE_KEEPER);

	dev_liveupdate_lost(&d->dev, "another card is in the slot");
	KUNIT_EXPECT_FALSE(test, dev_liveupdate_incoming(&d->dev));
	KUNIT_EXPECT_EQ(test, reclaim(d), -ENODEV);
	KUNIT_EXPECT_EQ(test, device_attach(&d->dev), 1);
	fake_clear_log(bus);
	dlu_incoming_finish(&bus->in);
	KUNIT_EXPECT_EQ(test, bus->calls, 0);
}

static void record_is_for_the_first_device_at_its_place(struct kunit *test)
{
	struct fake_bus *bus = test->priv;
	struct fake_dev *first = incoming(test, FAKE_KEEPER, FAKE_KEEPER);
	struct fake_dev *second;

	KUNIT_EXPECT_TRUE(test, dev_liveupdate_incoming(&first->dev));
	fake_remove(bus, 0);
	bus->count = 0;
	second = fake_new(test, FAKE_KEEPER, NULL);
	KUNIT_EXPECT_EQ(test, dlu_adopt(&bus->in, &second->dev), 0);
	fake_add(test, second);
	KUNIT_EXPECT_FALSE(test, dev_liveupdate_incoming(&second->dev));
}

/* What PCI does when it cannot set up a function that it has found. */
static void device_may_be_freed_before_it_is_initialized(struct kunit *test)
{
	struct dev_liveupdate_set_ser *payload = new_payload(test, 1);
	struct fake_bus *bus = test->priv;
	struct fake_dev *d = fake_add_new(test, NULL, NULL);
	struct device *raw = kunit_kzalloc(test, sizeof(struct fake_dev),
					   GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, raw);
	raw->bus = d->dev.bus;
	write_record(&payload->devices[0], 0, FAKE_KEEPER);
	KUNIT_ASSERT_EQ(test, read_payload(test, payload), 0);
	KUNIT_ASSERT_EQ(test, dlu_adopt(&bus->in, raw), 0);
	KUNIT_EXPECT_TRUE(test, dev_liveupdate_incoming(raw));
	dev_liveupdate_release(raw);
	KUNIT_EXPECT_NULL(test, raw->liveupdate);
	dlu_incoming_finish(&bus->in);
	KUNIT_EXPECT_EQ(test, bus->calls, 0);
}

static void memory_not_taken_is_freed_at_finish(struct kunit *test)
{
	struct dev_liveupdate_set_ser *payload = new_payload(test, 2);
	struct fake_bus *bus = test->priv;
	struct fake_dev *d = fake_new(test, FAKE_KEEPER, NULL);
	unsigned int order = 99;
	struct page *page;
	int i;

	for (i = 0; i < KEPT; i++)
		keep(test, i, i);
	write_record(&payload->devices[0], d->id, FAKE_KEEPER);
	add_pages(&payload->devices[0], 0);
	add_pages(&payload->devices[0], 1);
	/* no device will come to this one */
	write_record(&payload->devices[1], 77, FAKE_KEEPER);
	add_pages(&payload->devices[1], 2);
	KUNIT_ASSERT_EQ(test, read_payload(test, payload), 0);
	KUNIT_ASSERT_EQ(test, dlu_adopt(&bus->in, &d->dev), 0);
	fake_add(test, d);

	device_lock(&d->dev);
	page = dev_liveupdate_take_pages(&d->dev, page_to_phys(kept[1]), &order);
	KUNIT_EXPECT_PTR_EQ(test, page, kept[1]);
	KUNIT_EXPECT_EQ(test, order, 1);
	page = dev_liveupdate_take_pages(&d->dev, page_to_phys(kept[1]), &order);
	KUNIT_EXPECT_NULL(test, page);
	page = dev_liveupdate_take_pages(&d->dev, page_to_phys(kept[2]), &order);
	KUNIT_EXPECT_NULL(test, page);
	device_unlock(&d->dev);

	dlu_incoming_finish(&bus->in);
	KUNIT_EXPECT_TRUE(test, freed(0));
	KUNIT_EXPECT_FALSE(test, freed(1));
	KUNIT_EXPECT_TRUE(test, freed(2));
}

static unsigned int unkept;

/* Counts, and does it all the same. */
static void count_unkeep(struct dlu_slot *slot)
{
	struct kunit *test = kunit_get_current_test();

	unkept += slot->nr_pages;
	kunit_deactivate_static_stub(test, dlu_pages_unkeep);
	dlu_pages_unkeep(slot);
	kunit_activate_static_stub(test, dlu_pages_unkeep, count_unkeep);
}

static int try_keep(struct fake_dev *d, struct page *page, unsigned int order)
{
	guard(device)(&d->dev);
	return dev_liveupdate_keep_pages(&d->dev, page, order);
}

static void memory_is_kept_while_preparing_only(struct kunit *test)
{
	struct fake_bus *bus = test->priv;
	struct fake_dev *d = fake_add_new(test, FAKE_KEEPER, NULL);
	int i;

	if (!kho_is_enabled())
		kunit_skip(test, "needs kho=on");
	keep(test, 0, 3);
	KUNIT_EXPECT_EQ(test, try_keep(d, kept[0], 3), -EBUSY);
	KUNIT_ASSERT_EQ(test, fake_build_one(test, d), 0);
	KUNIT_ASSERT_EQ(test, dlu_set_prepare(&bus->out), 0);
	KUNIT_EXPECT_EQ(test, try_keep(d, kept[0] + 1, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, try_keep(d, kept[0], MAX_PAGE_ORDER + 1), -EINVAL);
	for (i = 0; i < DEV_LIVEUPDATE_MAX_PAGES; i++)
		KUNIT_EXPECT_EQ(test, try_keep(d, kept[0] + 2 * i, 1), 0);
	KUNIT_EXPECT_EQ(test, try_keep(d, kept[0] + 2, 0), -ENOSPC);
	KUNIT_ASSERT_EQ(test, dlu_set_reboot(&bus->out), 0);
	KUNIT_EXPECT_EQ(test, try_keep(d, kept[0], 0), -EBUSY);

	/* the driver's again, and can be kept once more */
	unkept = 0;
	kunit_activate_static_stub(test, dlu_pages_unkeep, count_unkeep);
	dlu_set_cancel(&bus->out);
	KUNIT_EXPECT_EQ(test, unkept, DEV_LIVEUPDATE_MAX_PAGES);
	KUNIT_ASSERT_EQ(test, fake_build_one(test, d), 0);
	KUNIT_EXPECT_EQ(test, bus->out.slots[0].nr_pages, 0);
	KUNIT_EXPECT_EQ(test, try_keep(d, kept[0], 3), 0);
	device_release_driver(&d->dev);
	KUNIT_EXPECT_EQ(test, unkept, DEV_LIVEUPDATE_MAX_PAGES + 1);
}

static void lookup_is_linear_up_to_1024_devices(struct kunit *test)
{
	struct dev_liveupdate_set_ser *payload;
	struct fake_bus *bus = test->priv;
	int count, i;
	u64 read, found;

	for (i = 0; i < 1024; i++)
		fake_add_new(test, NULL, NULL);
	for (count = 256; count <= 1024; count *= 2) {
		payload = new_payload(test, count);
		for (i = 0; i < count; i++)
			write_record(&payload->devices[i], i, "");
		read = ktime_get_ns();
		KUNIT_ASSERT_EQ(test, read_payload(test, payload), 0);
		read = ktime_get_ns() - read;
		fake_clear_log(bus);
		found = ktime_get_ns();
		for (i = 0; i < count; i++)
			dlu_adopt(&bus->in, &bus->devs[i]->dev);
		found = ktime_get_ns() - found;
		for (i = 0; i < count; i++)
			KUNIT_ASSERT_TRUE(test, dev_liveupdate_incoming(&bus->devs[i]->dev));
		KUNIT_EXPECT_EQ(test, bus->questions, count);
		kunit_info(test, "%d devices: records read in %llu us, found in %llu us\n",
			   count, read / 1000, found / 1000);
		dlu_incoming_finish(&bus->in);
	}
}

static struct kunit_case handover_cases[] = {
	KUNIT_CASE(records_say_the_same_on_both_sides),
	KUNIT_CASE(lost_device_has_no_record),
	KUNIT_CASE(no_field_of_a_record_is_trusted),
	KUNIT_CASE(length_must_fit_the_count),
	KUNIT_CASE(finish_is_the_exact_reverse_of_prepare),
	KUNIT_CASE(only_the_recorded_driver_may_probe),
	KUNIT_CASE(other_driver_waits_for_finish),
	KUNIT_CASE(driver_without_callbacks_waits_for_finish),
	KUNIT_CASE(reclaimed_until_finish_and_not_unbound),
	KUNIT_CASE(driver_that_fails_to_probe_has_not_reclaimed),
	KUNIT_CASE(device_lost_at_boot_is_an_ordinary_one),
	KUNIT_CASE(record_is_for_the_first_device_at_its_place),
	KUNIT_CASE(device_may_be_freed_before_it_is_initialized),
	KUNIT_CASE(memory_not_taken_is_freed_at_finish),
	KUNIT_CASE(memory_is_kept_while_preparing_only),
	KUNIT_CASE(lookup_is_linear_up_to_1024_devices),
	{}
};

static struct kunit_suite handover_suite = {
	.name = "liveupdate_dev_handover",
	.suite_init = fake_bus_up,
	.suite_exit = fake_bus_down,
	.init = handover_init,
	.exit = handover_exit,
	.test_cases = handover_cases,
};

kunit_test_suite(handover_suite);
