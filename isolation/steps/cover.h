/* Covering what is in the root already: masks, and what must not be written to. */
#pragma once

#include "isolation/steps/steps.h"
#include "isolation/steps/target.h"

/* PLAN_MASK. Nothing happens where nothing is: there is nothing to hide. */
int cover_mask(struct filling *filling, const struct plan_entry *entry, struct error *error);

/* PLAN_READONLY. */
int cover_readonly(struct filling *filling, const struct plan_entry *entry, struct error *error);

/* After the last of them. */
int cover_finish(struct filling *filling, struct error *error);
void cover_finish_describe(const struct plan *plan, const struct isolation_report *report);

/* `first`: no earlier entry masks a thing of its type. */
void cover_mask_describe(const struct plan_entry *entry, bool first,
                         const struct isolation_report *report);
void cover_readonly_describe(const struct plan_entry *entry, const struct isolation_report *report);
