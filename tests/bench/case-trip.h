/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* A core with four services on a bus, whose database fails: each sample is one such incident, in
 * ns, and each floor the least that such a thing could be. Afterwards all is well again. */
gpointer bench_trip_new (void);
void bench_trip_free (gpointer trip);

/* From before the last failure to after it was recorded; the floor: of a breaker that nobody has.
 */
double bench_trip_to_caller (gpointer trip);
double bench_trip_alone (gpointer trip);

/* To another thread that reads the level in a loop; the floor: a word that it reads in a loop. */
double bench_trip_to_thread (gpointer trip);
double bench_trip_word (gpointer trip);

/* To another process that hears of it on the bus; the floor: a signal from the same connection. */
double bench_trip_to_signal (gpointer trip);
double bench_trip_signal (gpointer trip);

/* Forced open and back; the floor: that of a breaker that nobody has. */
double bench_trip_toggle (gpointer trip);
double bench_trip_toggle_alone (gpointer trip);

/* A thousand callers, each of which takes a hold and gives it back: the longest that the loop of
 * the program stood meanwhile; the floor: as long without them. */
gpointer bench_storm_new (void);
void bench_storm_free (gpointer storm);
double bench_storm_stall (gpointer storm);
double bench_storm_calm (gpointer storm);
