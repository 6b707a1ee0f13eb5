"""Saved views of lists

Revision: 0003, after: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "admin_saved_view",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("is_shared", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("position", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admin_saved_view")),
        sa.UniqueConstraint(
            "model", "owner", "name", name=op.f("uq_admin_saved_view_model_owner_name")
        ),
    )
    op.create_table(
        "admin_default_view",
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("view_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["view_id"],
            ["admin_saved_view.id"],
            name=op.f("fk_admin_default_view_view_id_admin_saved_view"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("model", "owner", name=op.f("pk_admin_default_view")),
    )
    op.create_index(op.f("ix_admin_default_view_view_id"), "admin_default_view", ["view_id"])


def downgrade() -> None:
    op.drop_table("admin_default_view")
    op.drop_table("admin_saved_view")
