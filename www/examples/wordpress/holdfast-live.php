<?php
/*
 * Plugin Name: Holdfast Live
 * Description: Comments appear while you read, and [holdfast_chat] is a chat room. Live by Holdfast, over WebSocket or long-poll.
 * Version: 0.1.0
 * Requires at least: 5.9
 * Requires PHP: 7.4
 * License: MIT
 *
 * README.md tells how to install it. In wp-config.php may stand
 *     define('HOLDFAST_DIR', '/home/me/journal');   // the journal directory, if it is not found by itself
 *     define('HOLDFAST_SOCKET', '/socket');         // where Holdfast is mounted
 */

if (!defined('ABSPATH')) {
    exit;
}
if (!class_exists('Holdfast')) {
    require_once __DIR__ . '/holdfast.php';
}

function holdfast_live(): Holdfast
{
    static $holdfast = null;
    return $holdfast ?? $holdfast = new Holdfast(defined('HOLDFAST_DIR') ? HOLDFAST_DIR : '');
}

/* Do it; if Holdfast is away the site goes on, and the log says why. */
function holdfast_live_try(callable $do, $otherwise = null)
{
    try {
        return $do();
    } catch (HoldfastError $e) {
        error_log('holdfast-live: ' . $e->getMessage());
        return $otherwise;
    }
}

// --- comments appear while you read ---------------------------------------------

// When a comment is there for all to see: at once, or when somebody approves it.
add_action('comment_post', function ($id, $approved): void {
    if ((string) $approved === '1') {
        holdfast_live_comment(get_comment($id));
    }
}, 10, 2);
add_action('transition_comment_status', function ($new, $old, $comment): void {
    if ($new === 'approved') {
        holdfast_live_comment($comment);
    }
}, 10, 3);

function holdfast_live_comment(WP_Comment $comment): void
{
    if (!is_post_publicly_viewable((int) $comment->comment_post_ID) || post_password_required($comment->comment_post_ID)) {
        return;
    }
    $message = ['id' => (int) $comment->comment_ID, 'author' => get_comment_author($comment),
        'html' => apply_filters('comment_text', get_comment_text($comment), $comment, [])];
    // with a key, so that one that is approved twice comes once
    holdfast_live_try(fn() => holdfast_live()->publish("post:$comment->comment_post_ID", 'comment', $message,
        ['key' => "comment-$comment->comment_ID-" . md5($comment->comment_content)]));
}

// Below an article: where the comments go on. The cursor is read before WordPress
// reads the comments, so nothing is missed; what comes twice has an id.
add_action('template_redirect', function (): void {
    if (is_singular() && comments_open()) {
        $GLOBALS['holdfast_live_since'] = holdfast_live_try(fn() => holdfast_live()->cursor(), '');
    }
});
add_action('comment_form_before', function (): void {
    if (!empty($GLOBALS['holdfast_live_since'])) {
        holdfast_live_scripts();
        printf('<ol class="comment-list holdfast-live-comments" data-topic="post:%d" data-since="%s" aria-live="polite"></ol>',
            get_the_ID(), esc_attr($GLOBALS['holdfast_live_since']));
    }
});

// --- [holdfast_chat room="lobby"] -------------------------------------------------

add_shortcode('holdfast_chat', function ($attributes): string {
    $room = shortcode_atts(['room' => 'lobby'], $attributes)['room'];
    $topic = 'room:' . sanitize_key($room);
    $page = holdfast_live_try(fn() => holdfast_live()->page($topic, 50, 'said'));
    if ($page === null) {
        return '<p>' . esc_html__('The chat is not there at the moment.', 'holdfast-live') . '</p>';
    }
    holdfast_live_scripts();
    $lines = '';
    foreach (array_filter(array_column($page['messages'], 'payload'), 'is_array') as $said) {
        $lines .= sprintf('<li><b>%s</b> %s</li>', esc_html($said['name'] ?? ''), esc_html($said['text'] ?? ''));
    }
    $form = is_user_logged_in() ? '<form><input name="text" maxlength="500" required autocomplete="off"
        aria-label="' . esc_attr__('Message', 'holdfast-live') . '"> <button>' . esc_html__('Say', 'holdfast-live') . '</button></form>' : '';
    return sprintf('<div class="holdfast-live-chat" data-topic="%s" data-since="%s"><ol>%s</ol>%s</div>',
        esc_attr($topic), esc_attr($page['cursor']), $lines, $form);
});

function holdfast_live_scripts(): void
{
    wp_enqueue_script('holdfast', plugins_url('holdfast.min.js', __FILE__), [], '0.1.0', true);
    wp_enqueue_script('holdfast-live', plugins_url('live.js', __FILE__), ['holdfast'], '0.1.0', true);
    wp_add_inline_script('holdfast-live', 'var holdfastLive = ' . wp_json_encode([
        'socket' => defined('HOLDFAST_SOCKET') ? HOLDFAST_SOCKET : '/socket',
        'token' => rest_url('holdfast-live/v1/token'),
        'say' => rest_url('holdfast-live/v1/say'),
        'nonce' => wp_create_nonce('wp_rest'),
    ]) . ';', 'before');
}

// --- what the program in the page asks --------------------------------------------

add_action('rest_api_init', function (): void {
    // Everybody may read what the site shows to everybody; whoever is logged in
    // is known by his number.
    register_rest_route('holdfast-live/v1', '/token', [
        'methods' => 'GET',
        'permission_callback' => '__return_true',
        'callback' => function () {
            $user = get_current_user_id();
            $token = holdfast_live_try(fn() => holdfast_live()->token($user ? "wp:$user" : '',
                ['post:*' => ['join'], 'room:*' => ['join']], 900));
            $answer = $token === null ? new WP_Error('holdfast_away', 'no token', ['status' => 503]) : ['token' => $token];
            nocache_headers();
            return $answer;
        },
    ]);
    // Who is logged in may say something; WordPress has looked at the nonce.
    register_rest_route('holdfast-live/v1', '/say', [
        'methods' => 'POST',
        'permission_callback' => 'is_user_logged_in',
        'args' => [
            'topic' => ['required' => true, 'validate_callback' => fn($topic) => is_string($topic)
                && preg_match('/^room:[a-z0-9_-]{1,60}$/D', $topic) === 1],
            'text' => ['required' => true, 'validate_callback' => fn($text) => is_string($text)
                && trim($text) !== '' && strlen($text) <= 2000, 'sanitize_callback' => 'sanitize_textarea_field'],
        ],
        'callback' => function (WP_REST_Request $request) {
            $cursor = holdfast_live_try(fn() => holdfast_live()->publish($request['topic'], 'said',
                ['name' => wp_get_current_user()->display_name, 'text' => $request['text']]));
            return $cursor === null ? new WP_Error('holdfast_away', 'not said', ['status' => 503]) : ['cursor' => $cursor];
        },
    ]);
});

// --- who goes, goes at once ---------------------------------------------------------

// Logged out, deleted, another password: what is connected in his name ends.
add_action('wp_logout', 'holdfast_live_end');
add_action('deleted_user', 'holdfast_live_end');
add_action('after_password_reset', fn(WP_User $user) => holdfast_live_end($user->ID));

function holdfast_live_end($user): void
{
    if ($user) {
        holdfast_live_try(fn() => holdfast_live()->disconnect("wp:$user"));
    }
}
