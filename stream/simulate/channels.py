"""The channels that shoppers come through, and how often. Data, not code: any other name is counted too."""

from typing import Final

CHANNEL_WEIGHTS: Final[dict[str, float]] = {
    "content/video": 8,
    "content/recommended_finds": 5,
    "content/daily_picks": 3,
    "content/buyer_shows": 2,
    "paid/search_ads": 7,
    "paid/feed_ads": 6,
    "paid/affiliate": 3,
    "paid/off_site": 2,
    "paid/promo_city": 1,
    "benefits/category_coupon": 2,
    "benefits/benefit_goods": 1,
    "benefits/promotion_coupon": 2,
    "benefits/campaign_coupon": 2,
    "private/group_chat": 2,
    "private/follow_feed": 2,
    "private/message_centre": 1,
    "live/live_room": 8,
    "campaign/subsidy": 3,
    "campaign/group_deal": 2,
    "campaign/flash_sale": 3,
    "campaign/daily_must_buy": 1,
    "organic/search": 18,
    "organic/feed_recommendation": 9,
    "organic/favourites_recommendation": 3,
    "organic/post_purchase_recommendation": 1,
    "organic/item_page_recommendation": 3,
}
"""Level 1 / level 2 → relative weight of sessions that begin there."""

CHANNELS: Final[tuple[str, ...]] = tuple(CHANNEL_WEIGHTS)

SEARCH_CHANNEL: Final[int] = CHANNELS.index("organic/search")

TOUCH_WEIGHTS: Final[dict[tuple[str, str], float]] = {
    ("ad_impression", "search_ads"): 40,
    ("ad_impression", "feed_ads"): 25,
    ("ad_click", "search_ads"): 8,
    ("ad_click", "off_site"): 4,
    ("coupon_received", "promotion_coupon"): 9,
    ("live_room_entry", "live_room"): 8,
    ("campaign_visit", "flash_sale"): 4,
    ("content_view", "video"): 6,
}
"""(touch, source) → relative weight."""

TOUCHES: Final[tuple[tuple[str, str], ...]] = tuple(TOUCH_WEIGHTS)
