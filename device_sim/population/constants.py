"""Every constant of the simulated population, in one place.

The values were chosen once for plausibility and are explained in docs/population.md (a test holds the two together).
They are not to be tuned towards any ranker. Logit weights unless a unit is in the name.
"""

from __future__ import annotations

from typing import Final

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
NEVER_MS: Final = -10_000 * DAY_MS  # "has not happened": far enough back that every decay is zero

# ---- the words ----
STAGES: Final = ("new", "growing", "active", "at_risk", "lost")
SURFACES: Final = ("home", "wealth", "credit")
KINDS: Final = (
    "session_start",
    "page_view",
    "item_view",
    "search",
    "impression",
    "click",
    "convert",
    "dismiss",
    "price_change",
    "due_date",
)
VOUCHER_STAGES: Final = ("new", "growing", "at_risk", "lost")  # the eligibility rule of scenes/wealth.toml

# ---- a decision ----
CANDIDATES: Final = 24
SHOWN_AT_LEAST: Final = 6
PATIENCE_ALPHA: Final = 4.0  # Beta: chance to scroll past each further tile, mean 1/3
PATIENCE_BETA: Final = 8.0

# ---- who the users are ----
TASTE_ATTRIBUTE_SCALE: Final = 0.5
TASTE_FACTOR_SD: Final = 0.35
TASTE_OWN_SD: Final = 0.40
TASTE_DRIFT_SD_PER_DAY: Final = 0.05
TASTE_RETURN_PER_DAY: Final = 0.03
OFFER_TASTE_SD: Final = 0.30
USER_PROPENSITY_SD: Final = 0.50
APPETITE_OWN_SD: Final = 0.70
HOLDING_LOGIT: Final = -3.0
VISIT_RATE_SHAPE: Final = 3.0  # Gamma shape of the personal visit rate, mean 1

# ---- when they come ----
STAGE_SHARE: Final = (0.15, 0.20, 0.35, 0.18, 0.12)
STAGE_SESSIONS_PER_DAY: Final = (1.10, 1.20, 1.15, 0.60, 0.08)
WEEKEND_FACTOR: Final = 0.85
SESSIONS_PER_DAY_LIMIT: Final = 4
SESSION_GAP_MS: Final = 10 * MINUTE_MS
ALERT_SESSION_CHANCE: Final = 0.45
ALERT_SESSION_DELAY_MEAN_MIN: Final = 45.0
HOUR_WEIGHTS: Final = (1, 0.5, 0.3, 0.2, 0.2, 0.5, 1.5, 3, 4, 5, 5, 5, 7, 6, 5, 5, 5, 5, 6, 7, 8, 8, 6, 3)

# ---- what a session is ----
FURTHER_DECISIONS_LIMIT: Final = 3
FURTHER_DECISION_CHANCE: Final = 1 / 3
FIRST_BURST_MEAN: Final = 2.5
LATER_BURST_MEAN: Final = 3.0
LAST_BURST_MEAN: Final = 2.0
BURST_LIMIT: Final = 8
GAP_MEDIAN_S: Final = 12.0
GAP_LOG_SD: Final = 0.8
GAP_LIMIT_S: Final = 180.0
KIND_SHARE: Final = (0.50, 0.38, 0.12)  # page_view, item_view, search
ARTICLE_SHARE: Final = 0.40
FOCUS_SHARE: Final = 0.45
UNLISTED_SHARE: Final = 0.25
WANDER_SHARE: Final = 0.25
THEME_WEIGHT: Final = 3.0

# ---- intent ----
INTENT_STAY_S: Final = 240.0
FOCUS_STAY_S: Final = 90.0
RELATED_SWITCH_SHARE: Final = 0.5
INTENT_TASTE_WEIGHT: Final = 0.9
INTENT_CARRY_HOURS: Final = 6.0
INTENT_CARRY_CHANCE: Final = 0.3
ALERT_INTENT_CHANCE: Final = 0.8
CLICK_CATCHES_INTENT: Final = 0.6

# ---- a click ----
CLICK_LOGIT: Final = -4.05
POPULARITY_SD: Final = 0.45
TASTE_CLICK: Final = 0.8
INTENT_CATEGORY: Final = 1.5
INTENT_RELATED: Final = 0.7
INTENT_FOCUS: Final = 0.8
INTENT_THEME: Final = 0.3
RISK_GAP_CLICK: Final = -0.15
FATIGUE_SESSION: Final = -0.40
FATIGUE_SESSION_LIMIT: Final = 3.0
FATIGUE_RECENT: Final = -0.15
FATIGUE_RECENT_LIMIT: Final = 6.0
FATIGUE_HALF_LIFE_H: Final = 24.0
ALERT_OFFER: Final = 1.4
ALERT_CATEGORY: Final = 0.7
ALERT_HALF_LIFE_H: Final = 12.0
BOUGHT: Final = -1.2
BOUGHT_HALF_LIFE_H: Final = 168.0
DISMISSED: Final = -2.0
DISMISSED_HALF_LIFE_H: Final = 168.0
STAGE_CLICK: Final = (0.0, 0.1, 0.0, -0.3, -0.5)
STAGE_VOUCHER: Final = (0.5, 0.2, 0.0, 0.4, 0.6)
SURFACE_MATCH: Final = 0.3
MOOD_SD: Final = 0.30
WHIM_SD: Final = 0.30
IMPULSE: Final = 0.008  # a probability: a click that no intent explains
IMPULSE_POPULARITY: Final = 0.5

# ---- after the click, and beside it ----
CONVERT_LOGIT: Final = -1.2
TASTE_CONVERT: Final = 0.5
INTENT_CONVERT: Final = 0.5
QUALITY_CONVERT: Final = 0.4
RISK_GAP_CONVERT: Final = -0.35
PRICE_CONVERT: Final = -0.4
STAGE_CONVERT: Final = (-0.3, 0.0, 0.3, -0.2, -0.4)
DISMISS: Final = 0.004  # a probability per shown, not clicked offer
DISMISS_SEEN: Final = 0.4
DETAIL_AFTER_CLICK: Final = 0.7
SURFACE_FIRST_HOME: Final = 0.6
SURFACE_LATER_HOME: Final = 0.3

# ---- what happens to holdings ----
SHOCK_DEGREES_OF_FREEDOM: Final = 4.0
OWN_MOVE_SHARE: Final = 0.5
BIG_MOVE_SD: Final = 1.5
DUE_NOTICE_DAYS: Final = 2
