"""The page in a real browser: Debian's Chromium, driven by Playwright."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    FilePayload,
    Page,
    Route,
    expect,
    sync_playwright,
)

from search.service import queue
from search.service.keys import parse_keys
from search.tool import SearchTool
from tests.support.tiny_search import PHOTOS, STRANGER, add_model, person_photo, running
from tests.support.waiting import wait_until

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None, reason="there is no Chromium here: apt-get install chromium"
    ),
]

SECRET, READING = "a-secret-of-20-letters", "one-that-only-reads"
KEYS = parse_keys(f"anna:{SECRET},door:{READING}:read")
PAGES = ("/", "/person", "/person/person%203", "/person/person%203/forget", "/enrol", "/nowhere")
REFUSED = "Failed to load resource"
"""What the browser logs for an answer with an error's status, which some tests ask for."""

CONTRASTS = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const shine = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) { return colour; }
    }
  };
  const weak = [];
  for (const e of document.querySelectorAll("body *")) {
    const words = [...e.childNodes].filter((n) => n.nodeType === 3 && n.data.trim());
    if (!words.length || !e.checkVisibility() || e.closest(".unseen, .skip, option")) { continue; }
    const style = getComputedStyle(e);
    const [low, high] = [shine(parse(style.color)), shine(ground(e))].sort((a, b) => a - b);
    const size = parseFloat(style.fontSize);
    const needed = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
    const contrast = (high + 0.05) / (low + 0.05);
    if (contrast < needed) { weak.push(`${words[0].data.trim()}: ${contrast.toFixed(2)}`); }
  }
  return weak;
}"""


# A busy machine takes longer than the usual five seconds.
expect.set_options(timeout=60_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser that all tests share."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield chromium
        chromium.close()


@contextmanager
def window(
    browser: Browser, service: str, scripts: bool = True, dark: bool = False
) -> Iterator[Page]:
    """Open a window. When it closes, nothing came from elsewhere, and no script failed."""
    context: BrowserContext = browser.new_context(
        base_url=service,
        viewport={"width": 1280, "height": 900},
        java_script_enabled=scripts,
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
    )
    context.set_default_timeout(60_000)
    faults: list[str] = []
    hosts: set[str] = set()

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and REFUSED not in message.text:
            faults.append(message.text)

    page = context.new_page()
    page.on("console", note)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    yield page
    context.close()
    assert faults == []
    assert hosts <= {urlsplit(service).netloc, ""}


@pytest.fixture
def page(browser: Browser, service: str) -> Iterator[Page]:
    """The page before a search, at a desk."""
    with window(browser, service) as page:
        page.goto("/")
        yield page


@pytest.fixture
def plain(browser: Browser, service: str) -> Iterator[Page]:
    """The page before a search, with scripts off."""
    with window(browser, service, scripts=False) as page:
        page.goto("/")
        yield page


def photo(person: int, number: int = 99) -> FilePayload:
    return {
        "name": f"{person}.jpg",
        "mimeType": "image/jpeg",
        "buffer": person_photo(person, number),
    }


def says(page: Page, headline: str) -> None:
    """Wait for a headline."""
    expect(page.locator(".verdict h2").first).to_have_text(headline)


def names(page: Page) -> list[str]:
    return [name.strip() for name in page.locator(".found h3").all_inner_texts()]


def hold_answers(page: Page) -> list[Route]:
    """Let searches wait. Return the list in which they arrive."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/answer", hold)
    return held


def wait_for_held(page: Page, held: list[Route]) -> None:
    """Wait until a search is held: the page says that it searches before it does."""

    def has_arrived() -> bool:
        page.wait_for_timeout(20)
        return bool(held)

    wait_until(has_arrived)


def choose_step(page: Page, number: str) -> None:
    page.locator(".steps label", has_text=number).last.click()


class TestSearch:
    def test_photo_that_is_chosen_is_searched_for_at_once(self, page: Page) -> None:
        page.set_input_files("#photos", photo(3))
        says(page, "Probably person 3")
        first = page.locator(".found").first
        expect(first).to_contain_text("✓ Match")
        expect(first).to_contain_text("1 in 120 strangers looks this similar")
        expect(first).to_contain_text("cosine 0.99")
        expect(first).to_contain_text("4 photos")
        assert len(names(page)) == 10
        expect(page.locator(".found").last).to_contain_text("✕ No match")
        expect(page.locator("#status")).to_contain_text("Probably person 3")

    def test_crops_are_whole_and_tall(self, page: Page) -> None:
        page.set_input_files("#photos", photo(3))
        says(page, "Probably person 3")
        image = page.locator(".found .picture img").first
        box = image.bounding_box()
        assert box is not None
        assert box["height"] == pytest.approx(2 * box["width"], rel=0.01)
        assert image.evaluate("image => getComputedStyle(image).objectFit") == "contain"

    def test_query_of_the_data_set_is_picked(self, page: Page) -> None:
        page.get_by_role("button", name="person 2, camera 9").click()
        says(page, "Probably person 2")
        page.get_by_role("button", name="person 1, camera 9").click()
        says(page, "Probably person 1")
        assert page.locator("[name=kept]").count() == 1

    def test_several_photos_are_one_query_and_can_be_removed(self, page: Page) -> None:
        page.set_input_files("#photos", [photo(3), photo(3, 98)])
        says(page, "Probably person 3")
        page.set_input_files("#more", photo(3, 97))
        expect(page.get_by_alt_text("Photo 3 of the person")).to_be_visible()
        for left in (2, 1, 0):
            page.get_by_role("button", name="Remove photo 1").click()
            expect(page.locator("[name=kept]")).to_have_count(left)
        expect(page.locator(".empty h2")).to_have_text("Who is it?")

    @pytest.mark.parametrize(
        ("kind", "carrier"), [("drop", "DragEvent"), ("paste", "ClipboardEvent")]
    )
    def test_photo_is_dropped_or_pasted(self, page: Page, kind: str, carrier: str) -> None:
        page.evaluate(
            """async ([kind, carrier]) => {
              const blob = await (await fetch("/samples/1")).blob();
              const data = new DataTransfer();
              data.items.add(new File([blob], "image.png", { type: "image/jpeg" }));
              const options = { bubbles: true, cancelable: true };
              options[kind === "drop" ? "dataTransfer" : "clipboardData"] = data;
              document.body.dispatchEvent(new window[carrier](kind, options));
            }""",
            [kind, carrier],
        )
        says(page, "Probably person 2")

    def test_filters_act_at_once_and_stay(self, page: Page) -> None:
        page.set_input_files("#photos", photo(3))
        says(page, "Probably person 3")
        page.get_by_label("Not camera 1").check()
        page.get_by_label("Not camera 2").check()
        expect(page.locator(".found").first).to_contain_text("Camera 3")
        page.get_by_label("Only this person").fill("person 7")
        says(page, "Nobody among the filtered photos")
        assert names(page) == ["person 7"]
        page.get_by_label("Only this person").fill("nobody at all")
        page.keyboard.press("Tab")
        says(page, "No photo to compare with")
        page.get_by_label("Only this person").fill("")
        page.get_by_label("People to show").fill("4")
        expect(page.locator(".found")).to_have_count(4)
        expect(page.locator("#top-shown")).to_have_text("4")
        page.get_by_label("Taken before (UTC)").fill("2026-01-01T03:00")
        says(page, "Nobody among the filtered photos")
        page.get_by_label("Taken before (UTC)").fill("2026-01-01T04:00")
        says(page, "Probably person 3")
        expect(page.get_by_label("Not camera 1")).to_be_checked()

    def test_accepted_false_alarms_move_the_threshold(self, page: Page) -> None:
        page.set_input_files("#photos", photo(STRANGER))
        says(page, "Nobody in the gallery")
        expect(page.locator(".verdict")).to_contain_text("1 false alarm in 100 strangers")
        choose_step(page, "1,000")
        says(page, "Too few photos to say")
        expect(page.locator(".found").first).to_contain_text("? Can’t say")

    def test_two_models_are_shown_side_by_side(
        self, browser: Browser, service: str, tiny_tool: SearchTool, other_network: Path
    ) -> None:
        add_model(tiny_tool, other_network)
        current, other = tiny_tool.index.models()
        try:
            with window(browser, service) as page:
                page.goto("/")
                page.set_input_files("#photos", photo(3))
                says(page, "Probably person 3")
                page.get_by_label("Compare with another model").select_option(other.sha256)
                expect(page.locator(".verdict .model")).to_have_text([current.name, other.name])
                expect(page.locator(".verdict h2")).to_have_text(["Probably person 3"] * 2)
                expect(page.locator(".found").first).to_contain_text("Other model: no. 1")
                left, right = (
                    page.locator(".columns > section").nth(n).bounding_box() for n in (0, 1)
                )
                assert left is not None
                assert right is not None
                assert left["x"] + left["width"] <= right["x"]
                assert left["y"] == right["y"]
        finally:
            tiny_tool.index.drop_model(other.sha256)

    def test_all_sightings_open_and_close(self, page: Page) -> None:
        page.set_input_files("#photos", photo(3))
        link = page.get_by_role("link", name="person 3", exact=True)
        link.click()
        panel = page.get_by_role("dialog")
        expect(panel.locator(".sightings li")).to_have_count(PHOTOS)
        expect(panel).to_contain_text("2026-01-01 03:01:00 UTC")
        panel.get_by_role("link", name="As added").click()
        as_added = panel.get_by_role("link", name="As added")
        expect(as_added).to_have_attribute("aria-current", "true")
        expect(as_added).to_be_focused()
        page.keyboard.press("Escape")
        expect(panel).to_be_hidden()
        expect(link).to_be_focused()
        says(page, "Probably person 3")

    def test_judgement_is_kept_and_confirmed(self, page: Page, tiny_tool: SearchTool) -> None:
        page.set_input_files("#photos", photo(4))
        says(page, "Probably person 4")
        first = page.locator(".found").first
        first.get_by_role("button", name="Right").click()
        expect(first).to_contain_text("Kept: right")
        expect(first.get_by_role("button", name="Right")).to_be_focused()
        expect(page.locator("#status")).to_contain_text("Your judgement was kept.")
        page.locator(".found").nth(1).get_by_role("button", name="Wrong").click()
        expect(page.locator(".kept")).to_have_text(["Kept: right", "Kept: wrong"])
        *_, first_word, second_word = tiny_tool.index.judgements()
        assert (first_word.person, first_word.right) == ("person 4", True)
        assert not second_word.right


class TestTrouble:
    def test_file_that_is_no_photo_is_named_and_the_page_goes_on(self, page: Page) -> None:
        page.set_input_files("#photos", photo(3))
        says(page, "Probably person 3")
        page.set_input_files(
            "#photos", {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no image"}
        )
        says(page, "This did not work")
        expect(page.locator(".verdict")).to_contain_text("notes.txt can't be used: not an image")
        expect(page.locator("#status")).to_contain_text("notes.txt can't be used")
        page.set_input_files("#photos", photo(5))
        says(page, "Probably person 5")

    def test_waiting_is_said(self, page: Page) -> None:
        held = hold_answers(page)
        page.set_input_files("#photos", photo(3))
        expect(page.locator("#answer")).to_have_attribute("aria-busy", "true")
        expect(page.locator("#status")).to_have_text("Searching…")
        wait_for_held(page, held)
        held[0].continue_()
        says(page, "Probably person 3")
        expect(page.locator("#answer")).not_to_have_attribute("aria-busy", "true")

    def test_last_change_wins(self, page: Page) -> None:
        held = hold_answers(page)
        page.set_input_files("#photos", photo(3))
        expect(page.locator("#status")).to_have_text("Searching…")
        wait_for_held(page, held)
        page.unroute("**/answer")
        page.get_by_role("button", name="person 2, camera 9").click()
        says(page, "Probably person 2")
        assert page.locator(".waiting").count() == 0
        assert len(held) == 1

    def test_service_that_is_gone_is_said_and_the_photos_stay(self, page: Page) -> None:
        page.set_input_files("#photos", photo(3))
        says(page, "Probably person 3")
        page.route("**/answer", lambda route: route.abort())
        choose_step(page, "20")
        says(page, "No answer")
        page.unroute("**/answer")
        choose_step(page, "50")
        says(page, "Probably person 3")

    def test_busy_service_lets_one_try_again(
        self, page: Page, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        usual = queue.LONGEST
        page.set_input_files("#photos", photo(3))
        says(page, "Probably person 3")
        monkeypatch.setattr(queue, "LONGEST", 0)
        choose_step(page, "20")
        says(page, "Just a moment")
        monkeypatch.setattr(queue, "LONGEST", usual)
        page.get_by_role("button", name="Try again").click()
        says(page, "Probably person 3")


class TestPeople:
    def test_somebody_is_enrolled_found_and_forgotten(
        self, page: Page, tiny_tool: SearchTool
    ) -> None:
        size = tiny_tool.index.size()
        page.get_by_role("link", name="Add photos").click()
        page.get_by_label("Name or number").fill("Zoë <b> & co")
        page.get_by_label("Camera").fill("8")
        page.get_by_label("Taken at").fill("2026-05-01T12:00")
        page.set_input_files("#photos", [photo(40, 1), photo(40, 2)])
        expect(page.locator(".previews img")).to_have_count(2)
        page.get_by_role("button", name="Add photos").click()
        says(page, "2 photos added")
        page.get_by_role("link", name="All photos of Zoë <b> & co").click()
        expect(page.locator("h1")).to_have_text("Zoë <b> & co")
        expect(page.locator(".sightings li").first).to_contain_text("2026-05-01 12:00:00 UTC")

        page.get_by_role("link", name="People").click()
        page.get_by_label("Filter by name").fill("zoë")
        expect(page.locator(".card")).to_have_count(1)
        page.get_by_role("link", name="Zoë <b> & co").click()
        page.get_by_role("link", name="Forget…").click()
        expect(page.locator("main")).to_contain_text("2 photos will be deleted")
        page.get_by_role("link", name="Keep").click()
        assert tiny_tool.index.size() == size + 2
        page.get_by_role("link", name="Forget…").click()
        page.get_by_role("button", name="Forget 2 photos").click()
        expect(page.locator(".notice")).to_contain_text("Forgotten: 2 photos")
        assert tiny_tool.index.size() == size

    def test_photo_that_can_not_be_added_is_named(self, page: Page) -> None:
        page.goto("/enrol")
        page.get_by_label("Name or number").fill("Anna")
        page.set_input_files(
            "#photos", {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": b"no image"}
        )
        page.get_by_role("button", name="Add photos").click()
        says(page, "No photo was added")
        expect(page.get_by_label("Name or number")).to_have_value("Anna")


class TestWithoutScripts:
    def test_photos_stay_while_filters_change(self, plain: Page, tiny_tool: SearchTool) -> None:
        plain.set_input_files("#photos", [photo(6), photo(6, 98)])
        plain.get_by_role("button", name="Search").click()
        says(plain, "Probably person 6")
        plain.locator("summary").click()
        plain.get_by_label("Not camera 1").check()
        plain.get_by_label("Only this person").fill("person 7")
        plain.keyboard.press("Enter")
        says(plain, "Nobody among the filtered photos")
        expect(plain.get_by_label("Not camera 1")).to_be_checked()
        plain.get_by_label("Only this person").fill("")
        plain.get_by_role("button", name="Search").click()
        says(plain, "Probably person 6")
        plain.get_by_role("button", name="Remove photo 2").click()
        says(plain, "Probably person 6")
        assert plain.locator("[name=kept]").count() == 1
        first = plain.locator(".found").first
        first.get_by_role("button", name="Wrong").click()
        expect(plain.locator(".found").first).to_contain_text("Kept: wrong")
        assert [j.right for j in tiny_tool.index.judgements() if j.person == "person 6"] == [False]
        plain.get_by_role("link", name="person 6", exact=True).click()
        expect(plain.locator(".sightings li")).to_have_count(PHOTOS)

    def test_query_of_the_data_set_is_picked(self, plain: Page) -> None:
        plain.get_by_role("button", name="person 2, camera 9").click()
        says(plain, "Probably person 2")

    def test_search_without_a_photo_says_so(self, plain: Page) -> None:
        plain.get_by_role("button", name="Search").click()
        expect(plain.locator(".verdict")).to_contain_text("Choose a photo of the person first.")


class TestForEverybody:
    def test_keyboard_alone_searches_and_opens_sightings(self, page: Page) -> None:
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        expect(page.locator("#photos")).to_be_focused()
        outline = "zone => getComputedStyle(zone).outlineStyle"
        assert page.locator(".drop").evaluate(outline) == "solid"
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="person 1, camera 9")).to_be_focused()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        says(page, "Probably person 2")
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        page.keyboard.press("ArrowRight")
        expect(page.locator(".verdict").first).to_contain_text("1 false alarm in 50")
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.matches('.found h3 a')"):
                break
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()

    def test_phone_needs_no_scrolling_sideways(self, page: Page) -> None:
        page.set_viewport_size({"width": 360, "height": 740})
        wide = "document.documentElement.scrollWidth > innerWidth"
        for path in PAGES:
            page.goto(path)
            assert not page.evaluate(wide), path
        page.goto("/")
        page.locator("summary").click()
        page.set_input_files("#photos", [photo(3, number) for number in range(90, 99)])
        says(page, "Probably person 3")
        assert not page.evaluate(wide)
        expect(page.locator(".verdict h2")).to_be_in_viewport()
        page.get_by_role("link", name="person 3", exact=True).click()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert not page.evaluate(wide)

    @pytest.mark.parametrize("dark", [False, True])
    def test_words_stand_out_from_their_ground(
        self, browser: Browser, service: str, dark: bool
    ) -> None:
        with window(browser, service, dark=dark) as page:
            for path in PAGES:
                page.goto(path)
                assert page.evaluate(CONTRASTS) == [], path
            page.goto("/")
            page.set_input_files("#photos", photo(3))
            says(page, "Probably person 3")
            assert page.evaluate(CONTRASTS) == []
            page.set_input_files("#photos", photo(STRANGER))
            says(page, "Nobody in the gallery")
            assert page.evaluate(CONTRASTS) == []
            ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (sum(map(int, ground[4:-1].split(","))) < 3 * 128) == dark

    def test_every_field_and_photo_has_a_label(self, page: Page) -> None:
        page.set_input_files("#photos", photo(3))
        says(page, "Probably person 3")
        for path in ("", "/person", "/enrol", "/person/person%203"):
            if path:
                page.goto(path)
            assert (
                page.evaluate(
                    """() => [...document.querySelectorAll(
                     "input:not([type=hidden]), select")]
                     .filter((field) => !field.labels.length).length"""
                )
                == 0
            )
            assert page.locator("img:not([alt])").count() == 0
            assert page.locator("h1").count() == 1


class TestKeys:
    def test_login_reading_and_logout(self, browser: Browser, tiny_tool: SearchTool) -> None:
        with running(tiny_tool, KEYS) as service, window(browser, service) as page:
            page.goto("/")
            expect(page.locator("h1")).to_have_text("Sign in")
            page.get_by_label("Key").fill("wrong")
            page.keyboard.press("Enter")
            expect(page.get_by_role("alert")).to_have_text("This is not a valid key.")
            page.get_by_label("Key").fill(READING)
            page.keyboard.press("Enter")
            page.set_input_files("#photos", photo(3))
            says(page, "Probably person 3")
            expect(page.get_by_role("button", name="Right")).to_have_count(0)
            expect(page.get_by_role("link", name="Add photos")).to_have_count(0)
            assert page.evaluate("document.cookie") == ""
            page.context.clear_cookies()
            choose_step(page, "20")
            expect(page.locator("h1")).to_have_text("Sign in")
            page.get_by_label("Key").fill(SECRET)
            page.keyboard.press("Enter")
            expect(page.get_by_role("link", name="Add photos")).to_be_visible()
            page.get_by_role("button", name="Sign out").click()
            expect(page.locator("h1")).to_have_text("Sign in")
