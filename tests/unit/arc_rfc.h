/*
 * arc_rfc -- the message of RFC 8617, appendix B.
 *
 * The RFC publishes no keys for it, so none of its signatures can be checked by anybody; what can be is its structure,
 * what its fields say, and bh=, which is of the body that stands there.
 */
#ifndef TESTS_UNIT_ARC_RFC_H
#define TESTS_UNIT_ARC_RFC_H

#define RFC_8617_B \
	"Return-Path: <jqd@d1.example>\r\n" \
	"Received: from example.org (example.org [208.69.40.157])\r\n" \
	"    by gmail.example with ESMTP id d200mr22663000ykb.93.1421363207\r\n" \
	"    for <fmartin@example.com>; Thu, 14 Jan 2015 15:02:40 -0800 (PST)\r\n" \
	"Received: from segv.d1.example (segv.d1.example [72.52.75.15])\r\n" \
	"    by lists.example.org (8.14.5/8.14.5) with ESMTP id t0EKaNU9010123\r\n" \
	"    for <arc@example.org>; Thu, 14 Jan 2015 15:01:30 -0800 (PST)\r\n" \
	"    (envelope-from jqd@d1.example)\r\n" \
	"Received: from [2001:DB8::1A] (w-x-y-z.dsl.static.isp.example [w.x.y.z])\r\n" \
	"    (authenticated bits=0)\r\n" \
	"    by segv.d1.example with ESMTP id t0FN4a8O084569;\r\n" \
	"    Thu, 14 Jan 2015 15:00:01 -0800 (PST)\r\n" \
	"    (envelope-from jqd@d1.example)\r\n" \
	"Received: from mail-ob0-f188.google.example\r\n" \
	"    (mail-ob0-f188.google.example [208.69.40.157]) by\r\n" \
	"    clochette.example.org with ESMTP id d200mr22663000ykb.93.1421363268\r\n" \
	"    for <fmartin@example.org>; Thu, 14 Jan 2015 15:03:15 -0800 (PST)\r\n" \
	"ARC-Seal: i=3; a=rsa-sha256; cv=pass; d=clochette.example.org; s=\r\n" \
	"        clochette; t=12345; b=CU87XzXlNlk5X/yW4l73UvPUcP9ivwYWxyBWcVrRs7\r\n" \
	"        +HPx3K05nJhny2fvymbReAmOA9GTH/y+k9kEc59hAKVg==\r\n" \
	"ARC-Message-Signature: i=3; a=rsa-sha256; c=relaxed/relaxed; d=\r\n" \
	"        clochette.example.org; h=message-id:date:from:to:subject; s=\r\n" \
	"        clochette; t=12345; bh=KWSe46TZKCcDbH4klJPo+tjk5LWJnVRlP5pvjXFZY\r\n" \
	"        LQ=; b=o71vwyLsK+Wm4cOSlirXoRwzEvi0vqIjd/2/GkYFYlSd/GGfKzkAgPqxf\r\n" \
	"        K7ccBMP7Zjb/mpeggswHjEMS8x5NQ==\r\n" \
	"ARC-Authentication-Results: i=3; clochette.example.org; spf=fail\r\n" \
	"    smtp.from=jqd@d1.example; dkim=fail (512-bit key)\r\n" \
	"    header.i=@d1.example; dmarc=fail; arc=pass (as.2.gmail.example=pass,\r\n" \
	"    ams.2.gmail.example=pass, as.1.lists.example.org=pass,\r\n" \
	"    ams.1.lists.example.org=fail (message has been altered))\r\n" \
	"Authentication-Results: clochette.example.org; spf=fail\r\n" \
	"    smtp.from=jqd@d1.example; dkim=fail (512-bit key)\r\n" \
	"    header.i=@d1.example; dmarc=fail; arc=pass (as.2.gmail.example=pass,\r\n" \
	"    ams.2.gmail.example=pass, as.1.lists.example.org=pass,\r\n" \
	"    ams.1.lists.example.org=fail (message has been altered))\r\n" \
	"ARC-Seal: i=2; a=rsa-sha256; cv=pass; d=gmail.example; s=20120806; t=\r\n" \
	"        12345; b=Zpukh/kJL4Q7Kv391FKwTepgS56dgHIcdhhJZjsalhqkFIQQAJ4T9BE\r\n" \
	"        8jjLXWpRNuh81yqnT1/jHn086RwezGw==\r\n" \
	"ARC-Message-Signature: i=2; a=rsa-sha256; c=relaxed/relaxed; d=\r\n" \
	"        gmail.example; h=message-id:date:from:to:subject; s=20120806; t=\r\n" \
	"        12345; bh=KWSe46TZKCcDbH4klJPo+tjk5LWJnVRlP5pvjXFZYLQ=; b=CVoG44\r\n" \
	"        cVZvoSs2mMig2wwqPaJ4OZS5XGMCegWqQs1wvRZJS894tJM0xO1RJLgCPsBOxdA5\r\n" \
	"        9WSqI9s9DfyKDfWg==\r\n" \
	"ARC-Authentication-Results: i=2; gmail.example; spf=fail\r\n" \
	"    smtp.from=jqd@d1.example; dkim=fail (512-bit key)\r\n" \
	"    header.i=@example.org; dmarc=fail; arc=pass\r\n" \
	"    (as.1.lists.example.org=pass, ams.1.lists.example.org=pass)\r\n" \
	"ARC-Seal: i=1; a=rsa-sha256; cv=none; d=lists.example.org; s=dk-lists;\r\n" \
	"         t=12345; b=TlCCKzgk3TrAa+G77gYYO8Fxk4q/Ml0biqduZJeOYh6+0zhwQ8u/\r\n" \
	"        lHxLi21pxu347isLSuNtvIagIvAQna9a5A==\r\n" \
	"ARC-Message-Signature: i=1; a=rsa-sha256; c=relaxed/relaxed; d=\r\n" \
	"        lists.example.org; h=message-id:date:from:to:subject; s=\r\n" \
	"        dk-lists; t=12345; bh=KWSe46TZKCcDbH4klJPo+tjk5LWJnVRlP5pvjXFZYL\r\n" \
	"        Q=; b=DsoD3n3hiwlrN1ma8IZQFgZx8EDO7Wah3hUjIEsYKuShRKYB4LwGUiKD5Y\r\n" \
	"        yHgcIwGHhSc/4+ewYqHMWDnuFxiQ==\r\n" \
	"ARC-Authentication-Results: i=1; lists.example.org; spf=pass\r\n" \
	"    smtp.mfrom=jqd@d1.example; dkim=pass (512-bit key)\r\n" \
	"    header.i=@d1.example; dmarc=pass\r\n" \
	"DKIM-Signature: v=1; a=rsa-sha1; c=relaxed/relaxed; d=d1.example; h=\r\n" \
	"        message-id:date:from:to:subject; s=origin2015; bh=bIxxaeIQvmOBdT\r\n" \
	"        AitYfSNFgzPP4=; b=qKjd5fYibKXWWIcMKCgRYuo1vJ2fD+IAQPjX+uamXIGY2Q\r\n" \
	"        0HjQ+Lq3/yHzG3JHJp6780/nKQPOWt2UDJQrJkEA==\r\n" \
	"Message-ID: <54B84785.1060301@d1.example>\r\n" \
	"Date: Thu, 14 Jan 2015 15:00:01 -0800\r\n" \
	"From: John Q Doe <jqd@d1.example>\r\n" \
	"To: arc@dmarc.example\r\n" \
	"Subject: [List 2] Example 1\r\n" \
	"\r\n" \
	"Hey gang,\r\n" \
	"This is a test message.\r\n" \
	"--J.\r\n"

#endif
