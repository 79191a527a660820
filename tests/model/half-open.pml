/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A circuit breaker that callers meet while it opens, lets probes through and closes, as in
 * core/breaker: what is done without the lock and what under it. A step is what others cannot see
 * the middle of; under the lock one ends where the word, or the time it is open until, is stored.
 * test-half-open.py searches all of it.
 *
 * A generation is what each caller knows of its word: the present one, or an older one. Time is a
 * process that may at any moment let an open breaker's time or a probe's lease be over. One failure
 * opens a closed breaker.
 *
 * Defined from outside: N, the callers (2 or 3), the first of which never hangs; MAX, the probes allowed;
 * BY_RATE, if they decide together; OPERATOR, if somebody opens or closes it by hand; PROGRESS, to
 * search for a breaker that never gives a permit again; and the mistakes, to see each one found:
 * NO_GENERATION, NO_RECHECK, NO_LEASE. */

#define SUCCESSES 2 /* that close it */
#define NOWHERE MAX

mtype = { none, closed, open, half_open };

/* The word: the state, and who has loaded it. And whether open_until has come. */
mtype state = closed;
#define NOTHING 0
#define PRESENT 1
#define OLDER 2
byte loaded[N];
bool due;

/* Under the lock */
bool locked;
mtype to = none;
#define FREE 0
#define OUT 1
#define OVERDUE 2 /* out, and its lease is over */
#define EXPIRED 3
byte lease[MAX];
byte good;
byte bad;

/* For the claim alone: who was let through in this half-open, and has neither ended nor been given
 * up. */
bool probing[N];
byte owner[MAX];

/* Used within a step */
hidden byte i;
hidden byte n;
hidden byte late;

#if N == 2
#define PROBING (probing[0] + probing[1])
#else
#define PROBING (probing[0] + probing[1] + probing[2])
#endif
#ifdef BY_RATE
#define TAKEN (PROBING + good + bad)
#else
#define TAKEN PROBING
#endif

/* What the answers so far demand. */
inline decide ()
{
#ifdef BY_RATE
  if
  :: good + bad < MAX
  :: good + bad >= MAX && 2 * bad >= good + bad -> to = open
  :: good + bad >= MAX && 2 * bad < good + bad -> to = closed
  fi
#else
  if
  :: bad > 0 -> to = open
  :: bad == 0 && good >= SUCCESSES -> to = closed
  :: else
  fi
#endif
}

/* Probes whose time is over have failed. */
inline expire ()
{
#ifndef NO_LEASE
  i = 0;
  do
  :: i < MAX && to == none && lease[i] == OVERDUE ->
     lease[i] = EXPIRED;
     probing[owner[i]] = false;
     owner[i] = 0;
     bad++;
     decide ();
     i++
  :: i < MAX && (to != none || lease[i] != OVERDUE) -> i++
  :: else -> break
  od
#else
  skip
#endif
}

/* One store; whoever loads the word sees all of it. */
inline enter (target)
{
  state = target;
  i = 0;
  do
  :: i < N ->
     probing[i] = false;
     if
     :: loaded[i] == PRESENT -> loaded[i] = OLDER
     :: else
     fi;
     i++
  :: else -> break
  od;
  i = 0;
  do
  :: i < MAX -> lease[i] = FREE; owner[i] = 0; i++
  :: else -> break
  od;
  good = 0;
  bad = 0;
  to = none
}

inline go_to ()
{
  if
  :: to == open -> due = false; d_step { enter (open) }
  :: to == closed -> d_step { enter (closed) }
  :: else
  fi
}

inline lock_and_expire ()
{
  atomic { !locked -> locked = true; d_step { expire () } };
  go_to ()
}

inline take_probe ()
{
  n = 0;
#ifdef BY_RATE
  n = good + bad;
#endif
  i = 0;
  do
  :: i < MAX && lease[i] == FREE -> place = i; i++
  :: i < MAX && (lease[i] == OUT || lease[i] == OVERDUE) -> n++; i++
  :: i < MAX && lease[i] == EXPIRED -> i++
  :: else -> break
  od;
  if
  :: n >= MAX -> place = NOWHERE
  :: n < MAX && place != NOWHERE -> lease[place] = OUT; owner[place] = me; probing[me] = true
  :: else
  fi
}

/* The outcome of a permit that is this generation's. */
inline take_outcome (is_good, is_bad)
{
  if
  :: state == closed && is_bad -> to = open
  :: state == half_open ->
     lease[place] = FREE;
     owner[place] = 0;
     probing[me] = false;
     good = good + is_good;
     bad = bad + is_bad;
     decide ()
  :: else
  fi
}

inline judge (is_good, is_bad)
{
  d_step {
    late = loaded[me] == OLDER;
#ifdef NO_GENERATION
    late = false;
#endif
    if
    :: state == half_open && place == NOWHERE -> late = true
    :: state == half_open && place != NOWHERE ->
       late = late || lease[place] == FREE || lease[place] == EXPIRED
    :: else
    fi;
    if
    :: !late -> take_outcome (is_good, is_bad)
    :: else
    fi;
    late = 0
  }
}

proctype caller (byte me)
{
  byte place = NOWHERE;

asks:
  if
  :: atomic { state == closed -> loaded[me] = PRESENT; goto calls }
  :: atomic { state == open -> skip } /* and then looks how long */
  :: atomic { state == half_open -> goto locks }
  fi;
  if
  :: atomic { !due -> goto asks }
  :: atomic { due -> skip }
  fi;

#ifdef NO_RECHECK
  atomic {
    !locked ->
    if
    :: state == open -> d_step { enter (half_open) }
    :: else
    fi;
    probing[me] = (state == half_open);
    loaded[me] = PRESENT;
    goto calls
  };
#endif

locks:
  lock_and_expire ();
  if
  :: state == open && due -> d_step { enter (half_open) }
  :: else
  fi;
  atomic {
    locked = false;
    if
    :: state == half_open -> d_step { take_probe () }
    :: else
    fi;
    if
    :: place != NOWHERE || state == closed -> loaded[me] = PRESENT
    :: else -> goto asks
    fi
  };

calls:
#ifdef PROGRESS
progress_given:
#endif
  assert (state != half_open || TAKEN <= MAX);
  if
  :: place == NOWHERE -> goto ends /* neutral, or good and only counted */
  :: skip
  :: me > 0 -> goto hangs
  fi;
  lock_and_expire ();
  if
  :: judge (1, 0)
  :: judge (0, 1)
  :: judge (0, 0) /* cancelled, or dropped without a word */
  fi;
  go_to ();
  locked = false;
ends:
  atomic { probing[me] = false; loaded[me] = NOTHING; place = NOWHERE };
  goto asks;

hangs:
  skip
}

/* Everything is over some time. */
proctype clock ()
{
end_clock:
  do
  :: atomic { state == open && !due -> due = true }
  :: atomic { lease[0] == OUT -> lease[0] = OVERDUE }
#if MAX > 1
  :: atomic { lease[1] == OUT -> lease[1] = OVERDUE }
#endif
  od
}

#ifdef OPERATOR
proctype operator ()
{
  atomic {
    !locked -> locked = true;
    if
    :: state != open -> to = open
    :: to = closed
    fi
  };
  go_to ();
  locked = false
}
#endif

init
{
  atomic {
    run clock ();
#ifdef OPERATOR
    run operator ();
#endif
    run caller (0);
    run caller (1);
#if N == 3
    run caller (2)
#endif
  }
}
